package profile

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sluice/internal/flow"
	"sluice/internal/problem"
)

// BuilderCredential is a credential on its way into a builder. Its values must reach nothing else.
type BuilderCredential struct {
	// ID is what the builder shall call it, if it lets others choose.
	ID, Name string
	// Kind is the builder's word for its type.
	Kind   string
	Values map[string]string
}

// CredentialKind is a type of credential that a builder knows.
type CredentialKind struct {
	// Name is the builder's word, Label what people read.
	Name, Label string
	Fields      []CredentialField
}

// CredentialField is one value of a type of credential.
type CredentialField struct {
	// Name is the builder's word, Label what people read.
	Name, Label string
	// Secret values are hidden while they are typed. Long ones have several lines. Optional ones may be left out.
	Secret, Long, Optional bool
	// Options are the only values that there are; none means any.
	Options []string
	// Default is what the builder takes for a field that was left out.
	Default string
}

// CredentialKeeper is a Bridge of a builder that keeps credentials.
type CredentialKeeper interface {
	// PutCredential makes a credential, or gives the one with this id new values, and returns its id. Doing it again does no harm.
	PutCredential(ctx context.Context, c BuilderCredential) (id string, err error)
	// DeleteCredential deletes one. What is not there is no error.
	DeleteCredential(ctx context.Context, id string) error
	// CredentialKinds lists the types that the builder knows, by name.
	CredentialKinds(ctx context.Context) ([]CredentialKind, error)
	// FlowsWith lists the flows whose definition names one of these ids, by id.
	FlowsWith(ctx context.Context, ids []string) (map[string][]FoundObject, error)
}

var _ CredentialKeeper = (*FlowiseBridge)(nil)

const credentialsPath = "/api/v1/credentials"

// PutCredential implements CredentialKeeper. Flowise takes the id from the body when it makes one (seen in 3.1.4); should a version choose its own, that one is returned.
func (b *FlowiseBridge) PutCredential(ctx context.Context, c BuilderCredential) (string, error) {
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
	if id := res.text("id"); isUUID(id) {
		return id, nil
	}
	return "", problem.New(problem.Upstream, "Flowise gave an answer that Sluice cannot read when it was to keep a credential.")
}

func (b *FlowiseBridge) hasCredential(ctx context.Context, id, kind string) (found bool, err error) {
	err = b.readList(ctx, credentialsPath+"?credentialName="+url.QueryEscape(kind), func(dec *json.Decoder) error {
		return eachElement(dec, func(o flowiseObject) { found = found || strings.EqualFold(o.ID, id) })
	})
	return found, err
}

// DeleteCredential implements CredentialKeeper.
func (b *FlowiseBridge) DeleteCredential(ctx context.Context, id string) error {
	if !isUUID(id) {
		return problem.New(problem.Invalid, "This is no id of a credential in Flowise.").WithField("id")
	}
	_, err := b.call(ctx, http.MethodDelete, credentialsPath+"/"+id, nil)
	return err
}

// call makes a request with the owner's session, a second time if Flowise had forgotten it. Anything but success is an error, which never quotes what was sent or answered.
func (b *FlowiseBridge) call(ctx context.Context, method, path string, body any) (*reply, error) {
	s, err := b.current(ctx)
	if err != nil {
		return nil, err
	}
	res, err := b.client.send(ctx, method, path, s.cookie[0], body)
	if err == nil && res.status == http.StatusUnauthorized {
		if s, err = b.again(ctx, s); err == nil {
			res, err = b.client.send(ctx, method, path, s.cookie[0], body)
		}
	}
	if err != nil {
		return nil, err
	}
	if res.status < 200 || res.status > 299 || !res.json {
		return nil, problem.Newf(problem.Upstream, "Flowise answered with status %d.", res.status).WithNext("Look into Flowise's log, then try again.")
	}
	return res, nil
}

// again is a session in place of one that was refused.
func (b *FlowiseBridge) again(ctx context.Context, refused *flowiseSession) (*flowiseSession, error) {
	done, err := b.renew(refused, true)
	if err != nil {
		return nil, err
	}
	return b.wait(ctx, done)
}

// flowiseField is an input of a type of credential as Flowise describes it.
type flowiseField struct {
	Name, Label, Type string
	Rows              int
	Optional          bool
	Default           any
	Options           []struct{ Name string }
}

// CredentialKinds implements CredentialKeeper.
func (b *FlowiseBridge) CredentialKinds(ctx context.Context) ([]CredentialKind, error) {
	var kinds []CredentialKind
	err := b.readList(ctx, "/api/v1/components-credentials", func(dec *json.Decoder) error {
		return eachElement(dec, func(k struct {
			Name, Label string
			Inputs      []flowiseField
		}) {
			out := CredentialKind{Name: k.Name, Label: k.Label}
			for _, in := range k.Inputs {
				out.Fields = append(out.Fields, in.field())
			}
			kinds = append(kinds, out)
		})
	})
	slices.SortFunc(kinds, func(a, b CredentialKind) int {
		return strings.Compare(strings.ToLower(a.Label), strings.ToLower(b.Label))
	})
	return kinds, err
}

func (in flowiseField) field() CredentialField {
	f := CredentialField{Name: in.Name, Label: in.Label, Secret: in.Type == "password", Long: in.Rows > 1 || in.Type == "json", Optional: in.Optional}
	for _, o := range in.Options {
		f.Options = append(f.Options, o.Name)
	}
	if text, ok := in.Default.(string); ok {
		f.Default = text
	}
	return f
}

// FlowsWith implements CredentialKeeper.
func (b *FlowiseBridge) FlowsWith(ctx context.Context, ids []string) (map[string][]FoundObject, error) {
	found := map[string][]FoundObject{}
	err := b.readList(ctx, "/api/v1/chatflows", func(dec *json.Decoder) error {
		return eachElement(dec, func(o struct {
			ID, Name, Type, FlowData string
		}) {
			for _, id := range ids {
				if strings.Contains(o.FlowData, id) {
					found[id] = append(found[id], FoundObject{ID: o.ID, Name: o.Name, Kind: FlowKind(flow.Chatflow, o.Type)})
				}
			}
		})
	})
	return found, err
}
