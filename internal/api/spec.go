package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"sluice/internal/authn"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// The names of the credentials in the description.
const sessionScheme, bearerScheme = "session", "bearer"

// humaConfig returns a huma configuration without huma's defaults: no page that loads from
// elsewhere, no links to schemas, no lazily created documents.
func humaConfig() huma.Config {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:   "Sluice",
				Version: "1",
				Description: "Everything that Sluice's pages and commands do, for programs. Errors are problem " +
					"documents (RFC 9457): type, title, status, detail, field, next. " +
					"Lists take limit (1 to 200) and offset, and return the total. Times are RFC 3339 in UTC.",
			},
			Servers: []*huma.Server{{URL: Prefix}},
			Components: &huma.Components{
				Schemas: registry,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					sessionScheme: cookieScheme(),
					bearerScheme:  tokenScheme(),
				},
			},
			Security: []map[string][]string{{sessionScheme: {}}, {bearerScheme: {}}},
		},
		Formats: map[string]huma.Format{
			"application/json":  format(),
			"json":              format(),
			problem.ContentType: format(),
		},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{document},
	}
}

func cookieScheme() *huma.SecurityScheme {
	return &huma.SecurityScheme{
		Type: "apiKey", In: "cookie", Name: authn.CookieName(false),
		Description: "The cookie of a person who is signed in; its name is " + authn.CookieName(true) + " on https.",
	}
}

func tokenScheme() *huma.SecurityScheme {
	return &huma.SecurityScheme{
		Type: "http", Scheme: "bearer",
		Description: "An API key, or an access token of POST " + Prefix + "/auth/token (RFC 6750).",
	}
}

// problemResponse describes the answer to every request that fails.
func problemResponse() *huma.Response {
	return &huma.Response{
		Description: "The error: 400 bad request, 401 not signed in or confirmation of identity required (RFC " +
			"9470), 403 no permission, 404 not found or not yours, 409 conflict with the current state, 429 too " +
			"many requests.",
		Content: map[string]*huma.MediaType{
			problem.ContentType: {Schema: &huma.Schema{Ref: "#/components/schemas/" + problemSchema}},
		},
	}
}

const problemSchema = "Document"

// onlyProblems replaces huma's error model with Sluice's.
func onlyProblems(schemas huma.Registry) {
	delete(schemas.Map(), "ErrorModel")
	delete(schemas.Map(), "ErrorDetail")
	schemas.Schema(reflect.TypeFor[problem.Document](), true, "")
}

// description is the OpenAPI document in its two forms.
type description struct{ json, yaml []byte }

// describe completes the document and renders it.
func (a *API) describe() (d description, err error) {
	for _, op := range a.operations() {
		a.addExample(op)
	}
	if d.json, err = json.Marshal(a.built().spec); err != nil {
		return description{}, fmt.Errorf("describing the API: %w", err)
	}
	if d.yaml, err = a.built().spec.YAML(); err != nil {
		return description{}, fmt.Errorf("describing the API: %w", err)
	}
	return d, nil
}

func showJSON(x *visit) error {
	d, err := x.described()
	if err != nil {
		return err
	}
	return show(x, "application/openapi+json", d.json)
}

func showYAML(x *visit) error {
	d, err := x.described()
	if err != nil {
		return err
	}
	return show(x, "application/openapi+yaml", d.yaml)
}

func show(x *visit, contentType string, body []byte) error {
	x.w.Header().Set("Content-Type", contentType)
	x.w.WriteHeader(http.StatusOK)
	_, _ = x.w.Write(body)
	return nil
}

// operations lists all operations in the order of the map.
func (a *API) operations() []*huma.Operation {
	var out []*huma.Operation
	for _, rt := range routes() {
		item := a.built().spec.Paths[rt.path]
		out = append(out, map[string]*huma.Operation{
			http.MethodGet:    item.Get,
			http.MethodPost:   item.Post,
			http.MethodPut:    item.Put,
			http.MethodPatch:  item.Patch,
			http.MethodDelete: item.Delete,
		}[rt.method])
	}
	return out
}

// bodySchema returns the schema of an operation's body; nil if it takes none.
func (a *API) bodySchema(op *huma.Operation) *huma.Schema {
	if op.RequestBody == nil {
		return nil
	}
	return a.resolve(op.RequestBody.Content["application/json"].Schema)
}

func (a *API) resolve(s *huma.Schema) *huma.Schema {
	for s.Ref != "" {
		s = a.built().spec.Components.Schemas.SchemaFromRef(s.Ref)
	}
	return s
}

// addExample adds a complete example to the body's schema.
func (a *API) addExample(op *huma.Operation) {
	if s := a.bodySchema(op); s != nil {
		op.RequestBody.Content["application/json"].Example = a.example(s)
	}
}

// example builds an example from the examples of the fields. It omits fields without one, and
// objects that would lack a required field.
func (a *API) example(s *huma.Schema) any {
	s = a.resolve(s)
	if len(s.Examples) > 0 {
		return s.Examples[0]
	}
	if s.Type != huma.TypeObject {
		return nil
	}
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if v := a.example(s.Properties[name]); v != nil {
			out[name] = v
		} else if slices.Contains(s.Required, name) {
			return nil
		}
	}
	return out
}

// examplePath fills a path's parameters with their examples.
func examplePath(op *huma.Operation) string {
	path := Prefix + op.Path
	for _, p := range op.Parameters {
		if p.In == "path" && p.Schema != nil && len(p.Schema.Examples) > 0 {
			if v, ok := p.Schema.Examples[0].(string); ok {
				path = strings.ReplaceAll(path, "{"+p.Name+"}", v)
			}
		}
	}
	return path
}

// docView is the page that shows the operations.
type docView struct {
	Groups []docGroup
}

// docGroup is the operations of one tag.
type docGroup struct {
	Name, Title string
	Operations  []docOperation
}

// docOperation is one operation, described for people.
type docOperation struct {
	ID, Method, Path, Summary, Who, Curl string
	Inputs                               []docInput
}

// docInput is a parameter or a field of the body.
type docInput struct{ Name, Where, Form, Text string }

// showDocs shows the content of the description. It reveals nothing about this installation, so
// strangers may see it.
func (a *API) showDocs(x *visit) error {
	page := web.Page{Title: "API", Theme: web.ThemeOf(x.r), Path: Prefix + "/docs", Nav: []web.NavItem{
		{
			Href:  "/",
			Label: "Start page",
			Icon:  "house",
		}, {Href: Prefix + "/docs", Label: "API", Icon: "file-text", Active: true},
	}}
	if x.who.SignedIn() {
		page.Person = &web.Person{Name: cmp.Or(x.who.DisplayName, x.who.Name), Email: x.who.Email}
	}
	return web.Render(x.w, x.r, http.StatusOK, docsPage(page, a.docs(x.cfg.MainOrigin(x.r.Host))))
}

func (a *API) docs(origin string) docView {
	var v docView
	for _, op := range a.operations() {
		tag := op.Tags[0]
		if n := len(v.Groups); n == 0 || v.Groups[n-1].Name != tag {
			v.Groups = append(v.Groups, docGroup{Name: tag, Title: strings.ToUpper(tag[:1]) + tag[1:]})
		}
		group := &v.Groups[len(v.Groups)-1]
		group.Operations = append(group.Operations, docOperation{
			ID:      op.OperationID,
			Method:  op.Method,
			Path:    Prefix + op.Path,
			Summary: op.Summary,
			Who:     needOf(op).words(),
			Curl:    a.curl(origin, op),
			Inputs:  a.inputs(op),
		})
	}
	return v
}

// curl returns a command that tries an operation.
func (a *API) curl(origin string, op *huma.Operation) string {
	secure := strings.HasPrefix(origin, "https://")
	words := []string{"curl"}
	if needOf(op).where != toAnybody {
		words = append(words, fmt.Sprintf(`--cookie "%s=$SESSION"`, authn.CookieName(secure)))
	}
	if op.Method != http.MethodGet {
		words = append(words, "--request "+op.Method)
	}
	if s := a.bodySchema(op); s != nil {
		if body, err := json.Marshal(a.example(s)); err == nil {
			words = append(words, "--json '"+strings.ReplaceAll(string(body), "'", `'\''`)+"'")
		}
	}
	return strings.Join(append(words, origin+examplePath(op)), " ")
}

func (a *API) inputs(op *huma.Operation) []docInput {
	var out []docInput
	for _, p := range op.Parameters {
		out = append(out, docInput{
			Name:  p.Name,
			Where: p.In,
			Form:  form(p.Schema, p.Required),
			Text:  p.Schema.Description,
		})
	}
	s := a.bodySchema(op)
	if s == nil {
		return out
	}
	names := make([]string, 0, len(s.Properties))
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p := s.Properties[name]
		out = append(out, docInput{
			Name:  name,
			Where: "body",
			Form:  form(p, slices.Contains(s.Required, name)),
			Text:  p.Description,
		})
	}
	return out
}

// form describes the form of a value.
func form(s *huma.Schema, required bool) string {
	words := []string{s.Type}
	if len(s.Enum) > 0 {
		words = append(words, fmt.Sprint(s.Enum...))
	}
	if s.MaxLength != nil {
		words = append(words, fmt.Sprintf("up to %d characters", *s.MaxLength))
	}
	if s.Minimum != nil && s.Maximum != nil {
		words = append(words, fmt.Sprintf("%.0f to %.0f", *s.Minimum, *s.Maximum))
	}
	if required {
		words = append(words, "required")
	}
	return strings.Join(words, ", ")
}
