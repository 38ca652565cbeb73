package flowise

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sluice/internal/builder"
	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

const credentialsPath = "/api/v1/credentials"

// putCredential is Credentials.Put. Flowise takes the id from the body when it makes one (seen in
// 3.1.4); should a version choose its own, that one is returned.
func (b *bridge) putCredential(ctx context.Context, c builder.Credential) (string, error) {
	there, err := b.hasCredential(ctx, c.ID, c.Kind)
	if err != nil {
		return "", err
	}
	body := map[string]any{"name": c.Name, "credentialName": c.Kind, "plainDataObj": c.Values}
	method, path := http.MethodPut, credentialsPath+"/"+c.ID
	if !there {
		method, path = http.MethodPost, credentialsPath
		body["id"] = c.ID
	}
	res, err := b.call(ctx, method, path, body)
	if err != nil {
		return "", err
	}
	if id := res.Text("id"); profile.IsUUID(id) {
		return id, nil
	}
	return "", problem.New(
		problem.Upstream,
		"Flowise gave an answer that Sluice cannot read when it was to keep a credential.",
	)
}

func (b *bridge) hasCredential(ctx context.Context, id, kind string) (found bool, err error) {
	err = b.readList(ctx, credentialsPath+"?credentialName="+url.QueryEscape(kind), func(dec *json.Decoder) error {
		return builder.EachElement(dec, func(o object) { found = found || strings.EqualFold(o.ID, id) })
	})
	return found, err
}

// deleteCredential is Credentials.Delete.
func (b *bridge) deleteCredential(ctx context.Context, id string) error {
	if !profile.IsUUID(id) {
		return problem.New(problem.Invalid, "This is no id of a credential in Flowise.").WithField("id")
	}
	_, err := b.call(ctx, http.MethodDelete, credentialsPath+"/"+id, nil)
	return err
}

// call makes a request with the owner's session, a second time if Flowise had forgotten it.
// Anything but success is an error, which never quotes what was sent or answered.
func (b *bridge) call(ctx context.Context, method, path string, body any) (*builder.Reply, error) {
	s, err := b.current(ctx)
	if err != nil {
		return nil, err
	}
	res, err := b.client.Send(ctx, method, path, s.header, body)
	if err == nil && res.Status == http.StatusUnauthorized {
		if s, err = b.again(ctx, s); err == nil {
			res, err = b.client.Send(ctx, method, path, s.header, body)
		}
	}
	if err != nil {
		return nil, err
	}
	if res.Status < 200 || res.Status > 299 || !res.JSON {
		return nil, problem.Newf(problem.Upstream, "Flowise answered with status %d.", res.Status).
			WithNext("Look into Flowise's log, then try again.")
	}
	return res, nil
}

// again is a session in place of one that was refused.
func (b *bridge) again(ctx context.Context, refused *session) (*session, error) {
	done, err := b.renew(refused, true)
	if err != nil {
		return nil, err
	}
	return b.wait(ctx, done)
}

// field is an input of a type of credential as Flowise describes it.
type field struct {
	Name, Label, Type string
	Rows              int
	Optional          bool
	Default           any
	Options           []struct{ Name string }
}

// credentialKinds is Credentials.Kinds.
func (b *bridge) credentialKinds(ctx context.Context) ([]builder.CredentialKind, error) {
	var kinds []builder.CredentialKind
	err := b.readList(ctx, "/api/v1/components-credentials", func(dec *json.Decoder) error {
		return builder.EachElement(dec, func(k struct {
			Name, Label string
			Inputs      []field
		}) {
			out := builder.CredentialKind{Name: k.Name, Label: k.Label}
			for _, in := range k.Inputs {
				out.Fields = append(out.Fields, in.field())
			}
			kinds = append(kinds, out)
		})
	})
	slices.SortFunc(kinds, func(a, b builder.CredentialKind) int {
		return strings.Compare(strings.ToLower(a.Label), strings.ToLower(b.Label))
	})
	return kinds, err
}

func (in field) field() builder.CredentialField {
	f := builder.CredentialField{
		Name:     in.Name,
		Label:    in.Label,
		Secret:   in.Type == "password",
		Long:     in.Rows > 1 || in.Type == "json",
		Optional: in.Optional,
	}
	for _, o := range in.Options {
		f.Options = append(f.Options, o.Name)
	}
	if text, ok := in.Default.(string); ok {
		f.Default = text
	}
	return f
}

// flowsWith is Credentials.FlowsWith.
func (b *bridge) flowsWith(ctx context.Context, ids []string) (map[string][]builder.FoundObject, error) {
	found := map[string][]builder.FoundObject{}
	err := b.readList(ctx, "/api/v1/chatflows", func(dec *json.Decoder) error {
		return builder.EachElement(dec, func(o struct {
			ID, Name, Type, FlowData string
		}) {
			for _, id := range ids {
				if strings.Contains(o.FlowData, id) {
					found[id] = append(
						found[id],
						builder.FoundObject{ID: o.ID, Name: o.Name, Kind: flowKind(flow.Chatflow, o.Type)},
					)
				}
			}
		})
	})
	return found, err
}
