package proxy_test

import (
	"net/url"
	"regexp"
	"testing"

	"sluice/internal/app"
	"sluice/internal/builder/langflow"
	"sluice/internal/builder/langflow/langflowtest"
)

// These are short names for what tests of a Langflow are full of.
type (
	lfUser    = langflowtest.User
	lfThing   = langflowtest.Thing
	lfMessage = langflowtest.Message
	lfRequest = langflowtest.Request
	lfAnswer  = langflowtest.Answer
)

// lfUpstream is a Langflow behind the world's proxy.
type lfUpstream struct{ *langflowtest.Server }

func startLangflow(t testing.TB, old bool) *lfUpstream {
	t.Helper()
	f := &lfUpstream{langflowtest.Start(t)}
	// The world's clock is its own.
	f.With(func() { f.Old, f.Now = old, nil })
	return f
}

func (f *lfUpstream) url() *url.URL { return f.Base() }

// access lets Sluice sign its tokens.
func (f *lfUpstream) access() app.AccountAccess {
	return app.AccountAccess{
		Mode:      langflow.Signed,
		SecretKey: langflowtest.Secret,
		Superuser: langflowtest.Superuser,
		Password:  langflowtest.Password,
	}
}

// accountMark is the part that Sluice adds to the names of its accounts, so that no one uses them
// yet.
var accountMark = regexp.MustCompile(`-[0-9a-f]{8}$`)

// accountNames names the users for the witness.
func (f *lfUpstream) accountNames() map[string]string {
	names := map[string]string{}
	f.With(func() {
		for id, u := range f.Users {
			names[id] = "<account " + accountMark.ReplaceAllString(u.Username, "") + ">"
		}
	})
	return names
}
