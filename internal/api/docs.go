package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"sluice/internal/authn"
	"sluice/internal/web"
)

// docView is the page that shows the operations.
type docView struct {
	Groups []docGroup
}

// docGroup is one tag's operations.
type docGroup struct {
	Name, Title string
	Operations  []docOperation
}

// docOperation is one operation for people.
type docOperation struct {
	ID, Method, Path, Summary, Who, Curl string
	Inputs                               []docInput
}

// docInput is a parameter or a field of the body.
type docInput struct{ Name, Where, Form, Text string }

// showDocs shows what the description holds. It tells nothing about this installation, and strangers may see it.
func (a *API) showDocs(x *visit) error {
	page := web.Page{Title: "API", Theme: web.ThemeOf(x.r), Path: Prefix + "/docs", Nav: []web.NavItem{
		{Href: "/", Label: "Start page", Icon: "house"}, {Href: Prefix + "/docs", Label: "API", Icon: "file-text", Active: true},
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
			ID: op.OperationID, Method: op.Method, Path: Prefix + op.Path, Summary: op.Summary, Who: needOf(op).words(), Curl: a.curl(origin, op), Inputs: a.inputs(op),
		})
	}
	return v
}

// curl is a command to try an operation with.
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
		out = append(out, docInput{Name: p.Name, Where: p.In, Form: form(p.Schema, p.Required), Text: p.Schema.Description})
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
		out = append(out, docInput{Name: name, Where: "body", Form: form(p, slices.Contains(s.Required, name)), Text: p.Description})
	}
	return out
}

// form says in words what a value looks like.
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
