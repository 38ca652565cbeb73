package api

import (
	"encoding/json"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"sluice/internal/authz"
	"sluice/internal/problem"
)

// Route is a row of the map as tests see it.
type Route struct {
	Method, Path, ID, Action string
	// Where is "", "installation", "workspace", "app" or "anybody".
	Where string
}

// Routes is the whole map.
func Routes() []Route {
	var out []Route
	for _, rt := range routes() {
		out = append(
			out,
			Route{
				rt.method,
				rt.path,
				rt.id,
				string(rt.needs.action),
				[...]string{"", "installation", "workspace", "app", "anybody"}[rt.needs.where],
			},
		)
	}
	return out
}

// Described is the description, for checks of answers and for making requests.
type Described struct{ api *API }

// Describe creates the description without any service, once for all tests.
var Describe = sync.OnceValues(func() (Described, error) {
	a := New(Config{})
	_, err := a.described()
	return Described{a}, err
})

// Operation finds an operation by its id.
func (d Described) Operation(id string) *huma.Operation {
	for _, op := range d.api.operations() {
		if op.OperationID == id {
			return op
		}
	}
	return nil
}

// Body is the schema of an operation's body, nil for none.
func (d Described) Body(op *huma.Operation) *huma.Schema { return d.api.bodySchema(op) }

// Type is the JSON type of a field.
func (d Described) Type(s *huma.Schema) string { return d.api.resolve(s).Type }

// Example is a good body of an operation.
func (d Described) Example(op *huma.Operation) map[string]any {
	text, _ := json.Marshal(d.api.example(d.api.bodySchema(op)))
	out := map[string]any{}
	_ = json.Unmarshal(text, &out)
	return out
}

// Mismatch says how an answer differs from what the description promises; "" if it does not.
func (d Described) Mismatch(op *huma.Operation, status string, body []byte) string {
	response := op.Responses[status]
	if response == nil {
		response = op.Responses["default"]
	}
	var value any
	if len(body) == 0 && len(response.Content) == 0 {
		return ""
	}
	if err := json.Unmarshal(body, &value); err != nil {
		return "the answer is not JSON: " + err.Error()
	}
	for _, content := range response.Content {
		var res huma.ValidateResult
		huma.Validate(
			d.api.built().spec.Components.Schemas,
			content.Schema,
			huma.NewPathBuffer(nil, 0),
			huma.ModeReadFromServer,
			value,
			&res,
		)
		if len(res.Errors) > 0 {
			return res.Errors[0].Error()
		}
		return ""
	}
	return "the description promises no body, but there is one"
}

// ReadJSON and Translate are the steps between a body and a handler.
var (
	ReadJSON  = readJSON
	Translate = translate
)

// Registry has the schemas of the description.
func (d Described) Registry() huma.Registry { return d.api.built().spec.Components.Schemas }

// Mistake is the answer to a capability's error for a person who is signed in.
func Mistake(err error) *problem.Error {
	x := &visit{API: &API{}, who: authz.Principal{Kind: authz.Person}}
	return x.mistake(err)
}
