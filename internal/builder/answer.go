package builder

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"sync"
	"time"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// Answer is a complete response that Sluice gives instead of the builder.
type Answer struct {
	profile.Answer
	// Read reports that Sluice has no answer of its own: the client gets the builder's answer to a
	// GET of the same path, and nothing is changed.
	Read bool
}

// AnswerFunc gives one answer instead of the builder.
type AnswerFunc func(ctx context.Context, c AnswerContext) (Answer, error)

// JSON is an answer with a value that Sluice itself built.
func JSON(status int, body any) Answer { return Answer{Answer: profile.JSON(status, body)} }

// AnswerContext is everything an AnswerFunc may need.
type AnswerContext struct {
	// Principal makes the request; it may be anonymous.
	Principal authz.Principal
	// SignInURL is Sluice's sign-in page for this app, absolute.
	SignInURL string
	// SignedOutURL is where a browser goes after signing out, absolute.
	SignedOutURL string
	// SignOut revokes Principal's session.
	SignOut func(context.Context) error
	// Upstream is Session.Upstream: the service account as the builder describes it; nil while
	// unknown.
	Upstream map[string]any
	// Query is the request's parsed query.
	Query url.Values
	// App is the app's id, Kind the name of its kind.
	App, Kind string
	// Param returns a placeholder of the path. Body returns the JSON object of the body, after the
	// same checks that a forwarded body gets.
	Param func(name string) string
	Body  func() ([]byte, error)
	// Keys are Sluice's API keys, and Fresh the just-created ones; nil if the builder's pages show
	// no API keys. KeysURL is the page where people manage theirs.
	Keys    *authn.Keys
	Fresh   *FreshKeys
	KeysURL string
	// People are the people that Sluice knows, and Logins how they sign in; nil if the builder's
	// pages show no people. NewUserActive reports whether people added there can sign in at once.
	People        *identity.People
	Logins        *login.Logins
	NewUserActive bool
	// May reports whether the person may use a row of the table, by its name, on an object that
	// Sluice knows.
	May func(endpoint, objectID string) bool
	// AccountURL is the page of the person's own account. ConfirmURL is where people prove again
	// that it is them. Both are absolute.
	AccountURL, ConfirmURL string
	// Version is the builder's own version; "" while unknown.
	Version string
	// Now is the time of the request.
	Now time.Time
}

// Decode reads the JSON object of a request into a value of a known shape. Errors: problem.Invalid
// with this detail.
func Decode[T any](c AnswerContext, detail string) (v T, err error) {
	body, err := c.Body()
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return v, problem.New(problem.Invalid, detail).WithRule("body.json").WithCause(err)
	}
	return v, nil
}

// OwnKeys lists the person's keys that are valid for the app and for the workspace they work in.
func (c AnswerContext) OwnKeys(ctx context.Context) ([]authn.APIKey, error) {
	if c.Keys == nil {
		return nil, noKeys()
	}
	filter := authn.KeyFilter{Owner: c.Principal.ID, Workspace: c.Principal.Workspace}
	all, err := c.Keys.List(ctx, c.Principal, filter)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(k authn.APIKey) bool {
		return !k.RevokedAt.IsZero() || len(k.Scope.Apps) > 0 && !slices.Contains(k.Scope.Apps, c.App)
	}), nil
}

// OwnKey is the key that the path names as "key", if it is one of OwnKeys. Errors:
// problem.NotFound.
func (c AnswerContext) OwnKey(ctx context.Context) (authn.APIKey, error) {
	keys, err := c.OwnKeys(ctx)
	if err != nil {
		return authn.APIKey{}, err
	}
	i := slices.IndexFunc(keys, func(k authn.APIKey) bool { return k.ID == c.Param("key") })
	if i < 0 {
		return authn.APIKey{}, problem.New(problem.NotFound, "There is no such API key.")
	}
	return keys[i], nil
}

// CreateKey creates an API key for the app. If the builder's page cannot provide the fresh proof
// that Sluice requires, the error says where to go instead.
func (c AnswerContext) CreateKey(ctx context.Context, n authn.NewAPIKey) (key authn.APIKey, secret string, err error) {
	if c.Keys == nil {
		return key, "", noKeys()
	}
	n.Workspace, n.Scope.Apps = c.Principal.Workspace, []string{c.App}
	key, secret, err = c.Keys.Create(ctx, c.Principal, n)
	if problem.Is(err, problem.StepUp) {
		err = problem.Newf(problem.Denied, "Creating an API key requires a fresh proof of identity. "+
			"Create it at %s, or sign out and in again.", c.KeysURL).
			WithRule("step-up")
	}
	return key, secret, err
}

func noKeys() error { return problem.New(problem.NotFound, "There are no API keys here.") }

// PersonName is the name of a principal to show to people.
func PersonName(p authz.Principal) string {
	if p.DisplayName != "" {
		return p.DisplayName
	}
	return p.Name
}

// FreshKeys holds just-created keys, each for one look by the session that created it. A builder's
// page may ignore the answer to "create" and show and copy the secret from the next list instead.
// FreshKeys is bounded, forgets within a minute, and is never written anywhere.
type FreshKeys struct {
	mu   sync.Mutex
	keys map[string]freshKey // by id
}

type freshKey struct {
	session, secret string
	until           time.Time
}

const (
	freshLife = time.Minute
	freshMost = 1000
)

// Keep remembers a key for the session that created it.
func (f *FreshKeys) Keep(session, id, secret string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keys == nil {
		f.keys = map[string]freshKey{}
	}
	for old, k := range f.keys {
		if !now.Before(k.until) {
			delete(f.keys, old)
		}
	}
	if session != "" && len(f.keys) < freshMost {
		f.keys[id] = freshKey{session, secret, now.Add(freshLife)}
	}
}

// Take gives a key to the session that created it, once; "" if it holds no such key.
func (f *FreshKeys) Take(session, id string, now time.Time) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, ok := f.keys[id]
	if !ok || k.session != session {
		return ""
	}
	delete(f.keys, id)
	if !now.Before(k.until) {
		return ""
	}
	return k.secret
}
