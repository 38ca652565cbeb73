package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"sluice/internal/api"
	"sluice/internal/problem"
)

func TestReadJSON(t *testing.T) {
	t.Parallel()
	for text, fault := range map[string]string{
		`{"a":1}`: "", `[]`: "", `"x"`: "", ` {"a":{"b":[1,2,{"c":null}]}} `: "", `{"a":1,"b":{"a":2}}`: "",
		`{"a":"\ud800"}`: "",
		``:               "ends too early", `{`: "ends too early", `{"a"`: "ends too early", `{"a":}`: "broken",
		`{"a":1,}`: "broken",
		`nul`:      "ends too early", `{a:1}`: "broken",
		`{"a":1}x`: "text after", `{}{}`: "text after", `{"a":1,"a":1}`: "twice", `{"a":1,"A":1}`: "twice",
		`{"k":1,"\u212a":1}`: "twice", `{"x":{"a":1,"a":2}}`: "twice",
		"\xff": "UTF-8", "{\"\xff\":1}": "UTF-8", `{"a":"\u0000"}`: "NUL", `["\u0000"]`: "NUL", strings.Repeat("[",
			100): "deeper", "\ufeff{}": "broken",
		`{` + strings.Repeat(`"`+"x"+`":1,`, 2) + `"y":1}`: "twice",
	} {
		var v any
		err := api.ReadJSON([]byte(text), &v)
		if fault == "" && err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if fault != "" && (err == nil || !strings.Contains(err.Error(), fault)) {
			t.Errorf("%q: %v, want %q", text, err, fault)
		}
	}
}

// TestStrict_WrongCredentials: a program signs in again after a 401, which does not help if the
// builder's password is wrong.
func TestStrict_WrongCredentials(t *testing.T) {
	t.Parallel()
	refused := problem.New(problem.Unauthenticated, "The builder refused this password.").WithField("password")
	if e := api.Mistake(fmt.Errorf("signing in: %w", refused)); e.Kind != problem.Invalid ||
		e.Detail != refused.Detail ||
		e.Field != "password" {
		t.Errorf("became %+v", e)
	}
	if refused.Kind != problem.Unauthenticated {
		t.Error("the error itself was changed")
	}
	if e := api.Mistake(problem.New(problem.Denied, "No.")); e.Kind != problem.Denied {
		t.Errorf("became %+v", e)
	}
}

// FuzzBody sends any bytes through the path of a body: the strict reader, the checks of every
// operation, the messages for errors.
func FuzzBody(f *testing.F) {
	spec, err := api.Describe()
	if err != nil {
		f.Fatal(err)
	}
	var schemas []*huma.Schema
	for _, rt := range api.Routes() {
		if op := spec.Operation(rt.ID); op.RequestBody != nil {
			schemas = append(schemas, spec.Body(op))
			good, err := json.Marshal(spec.Example(op))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(good)
		}
	}
	for _, seed := range []string{``, `null`, `{`, `{"username":5,"USERNAME":"x"}`, `{"permissions":[1,[],{}]}`,
		`{"password":"s3cret-value"}`, "\xff", `{"a":1e999}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var v any
		if err := api.ReadJSON(body, &v); err != nil {
			e := api.Translate(
				&huma.ErrorModel{
					Status: http.StatusBadRequest,
					Errors: []*huma.ErrorDetail{{Location: "body", Message: err.Error(), Value: string(body)}},
				},
			)
			if e.Kind.Status() != http.StatusBadRequest || e.Field != "body" || e.Detail == "" {
				t.Fatalf("%q became %+v", body, e)
			}
			return
		}
		var again any
		if err := json.Unmarshal(body, &again); err != nil {
			t.Fatalf("%q is accepted and no JSON: %v", body, err)
		}
		for _, s := range schemas {
			var res huma.ValidateResult
			huma.Validate(spec.Registry(), s, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, v, &res)
			if len(res.Errors) == 0 {
				continue
			}
			model := &huma.ErrorModel{Status: http.StatusUnprocessableEntity}
			for _, err := range res.Errors {
				model.Add(err)
			}
			e := api.Translate(model)
			if e.Kind.Status() != http.StatusBadRequest || e.Field == "" || e.Detail == "" || len(e.Detail) > 1000 {
				t.Fatalf("%q became %+v", body, e)
			}
		}
	})
}

// TestWords holds what people read about a mistake; values are never repeated.
func TestWords(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"expected string":                                       `The value of "f" is wrong. Expected: a text. Given: a text of length 6.`,
		"expected integer":                                      `The value of "f" is wrong. Expected: an integer. Given: a text of length 6.`,
		"invalid integer":                                       `The value of "f" is wrong. Expected: an integer. Given: a text of length 6.`,
		"expected array":                                        `The value of "f" is wrong. Expected: a list. Given: a text of length 6.`,
		"expected number <= 200":                                `The value of "f" is wrong. Expected: a number of at most 200.`,
		"expected length >= 2":                                  `The value of "f" is wrong. Expected: a text of at least 2 characters. Given: a text of length 6.`,
		"expected array length <= 9":                            `The value of "f" is wrong. Expected: a list of at most 9 entries. Given: a text of length 6.`,
		"expected value to be one of \"a, b\"":                  `The value of "f" is wrong. Expected: one of "a, b". Given: a text of length 6.`,
		"expected string to be an id":                           `The value of "f" is wrong. Expected: an id. Given: a text of length 6.`,
		"unexpected property":                                   `This request has no field "f".`,
		"expected required property x to be present":            `"x" is missing.`,
		"json: cannot unmarshal number 1e30 into Go value of x": `A value does not fit its field; see /api/v1/docs for the form of each.`,
	} {
		e := api.Translate(
			&huma.ErrorModel{
				Status: http.StatusUnprocessableEntity,
				Errors: []*huma.ErrorDetail{{Location: "body.f", Message: message, Value: "s3cret"}},
			},
		)
		if e.Detail != want || e.Kind != problem.Invalid {
			t.Errorf("%q became %q, want %q", message, e.Detail, want)
		}
	}
	for status, want := range map[int]int{408: 400, 413: 413, 415: 400, 422: 400, 400: 400, 500: 500} {
		if e := api.Translate(&huma.ErrorModel{Status: status, Detail: "something"}); e.Kind.Status() != want ||
			e.Detail == "something" {
			t.Errorf("%d became %+v", status, e)
		}
	}
	if e := api.Translate(&huma.ErrorModel{Status: 500,
		Detail: "cannot read request body"}); e.Kind != problem.Invalid {
		t.Errorf("a body that broke off became %+v", e)
	}
}
