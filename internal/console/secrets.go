package console

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"sluice/internal/problem"
	"sluice/internal/secret"
	"sluice/internal/web"
)

// secretPages are Sluice's own secrets.
type secretPages struct {
	secrets *secret.Rotator
	// warnings are sentences about secrets that were not used or are poorly protected.
	warnings []string
}

// secretsPath is the page of Sluice's own secrets.
const secretsPath = "/admin/secrets"

// sealPatience is how long a request waits for all values to be sealed again. The rest continues in
// the background.
const sealPatience = 10 * time.Second

// secretWords are the name of a secret for people, its purpose, and what replacing it means.
type secretWords struct{ Title, Use, After string }

func wordsOf(n secret.Name) secretWords {
	return map[secret.Name]secretWords{
		secret.Root: {
			"Root key",
			"Opens all encrypted values in the database.",
			"The new key replaces the file at once. Copy the file to every other node and to your backups; until " +
				"then the previous key opens the secrets there.",
		},
		secret.AccessToken: {
			"Access tokens",
			"Signs the tokens of API clients.",
			"Existing tokens stay valid until they expire.",
		},
		secret.RefreshToken: {
			"Refresh tokens",
			"Creates the tokens that keep API clients signed in.",
			"Existing tokens stay valid until they expire.",
		},
		secret.Session: {"Sessions", "Keys the hashes of browsers' session cookies.", "No one is signed out."},
		secret.TokenHash: {
			"Links and API keys",
			"Keys the hashes of one-time links, codes and API keys.",
			"Links stay valid until they expire, API keys until they expire or are revoked.",
		},
		secret.VaultKey: {
			"Vault",
			"Encrypts credentials and other secrets in the database.",
			"Everything is encrypted again with the new key, in small steps while Sluice runs.",
		},
		secret.Assertions: {
			"Identity assertions",
			"Signs what Sluice states about a person to builders and reverse proxies.",
			"The previous key stays published until every assertion that it signed has expired.",
		},
	}[n]
}

// secretView is one of Sluice's secrets as the pages show it.
type secretView struct {
	secret.Status
	Words secretWords
}

func (v secretView) path() string { return secretsPath + "/" + string(v.Name) + "/rotate" }

// command is the equivalent on the command line.
func (v secretView) command() string { return "sluice secret rotate " + string(v.Name) }

// variable reports whether the name is that of a variable.
func (v secretView) variable() bool { return strings.ToUpper(string(v.Name)) == string(v.Name) }

// sourceWords describe where the secret in use came from.
func (v secretView) sourceWords() string {
	switch {
	case v.Source == "":
		return "not created yet"
	case v.Source == "database":
		return "created by Sluice, stored encrypted in the database"
	}
	return v.Source
}

// previousWords describe which previous keys are accepted and until when.
func (v secretView) previousWords(now time.Time) string {
	if len(v.Previous) == 0 {
		return ""
	}
	text := web.Count(len(v.Previous), "previous key") + " still accepted"
	last := time.Time{}
	for _, f := range v.Previous {
		if f.Until.After(last) {
			last = f.Until
		}
	}
	switch {
	case v.Left > 0:
		return text + ", for " + web.Count(v.Left, "value") + " not yet encrypted again"
	case v.Name == secret.VaultKey:
		return text + ", for about an hour"
	case v.Name == secret.Root:
		return text + ", until the vault's key is rotated or `sluice secret forget root` revokes it"
	case !last.After(now):
		return text + ", until everything created with it has expired"
	}
	return text + ", at least until " + last.Format("2006-01-02 15:04 UTC")
}

// secretsView is the page of all secrets.
type secretsView struct {
	Secrets []secretView
	// Assertions are the published keys, and JWKS is the address where they are published.
	Assertions secretView
	JWKS       string
	Warnings   []string
	Now        time.Time
	// Problem is the reason why a rotation failed.
	Problem, Next string
}

// unsealed is how many values still wait to be sealed again.
func (v secretsView) unsealed() int {
	for _, s := range v.Secrets {
		if s.Left > 0 {
			return s.Left
		}
	}
	return 0
}

func (p *secretPages) showSecrets(x *visit) error {
	return p.renderSecrets(x, http.StatusOK, secretsView{})
}

func (p *secretPages) renderSecrets(x *visit, status int, v secretsView) error {
	list, err := p.secrets.Status(x.r.Context(), x.who)
	if err != nil {
		return err
	}
	v.Now, v.JWKS, v.Warnings = x.now(), x.origin()+"/.well-known/jwks.json", otherWarnings(p.warnings, list)
	for _, s := range list {
		one := secretView{Status: s, Words: wordsOf(s.Name)}
		if s.Name == secret.Assertions {
			v.Assertions = one
			continue
		}
		v.Secrets = append(v.Secrets, one)
	}
	return x.render(status, secretsPage(x.frame("Secrets", secretsPath), v))
}

// otherWarnings returns the warnings that the page does not already show at the secrets themselves.
func otherWarnings(warnings []string, list []secret.Status) (out []string) {
	for _, text := range warnings {
		for _, s := range list {
			for _, w := range s.Weak {
				if rest, ok := strings.CutPrefix(text, string(w.Name)+" ("+w.Where+") "+w.Why+","); ok {
					_, more, _ := strings.Cut(rest, ". ")
					text = strings.TrimSpace(more)
					if text != "" {
						text = string(w.Name) + ": " + text
					}
				}
			}
		}
		if text != "" {
			out = append(out, text)
		}
	}
	return out
}

// oneSecret returns the secret of the route.
func (p *secretPages) oneSecret(x *visit) (secretView, error) {
	list, err := p.secrets.Status(x.r.Context(), x.who)
	if err != nil {
		return secretView{}, err
	}
	for _, s := range list {
		if string(s.Name) == x.r.PathValue("id") {
			return secretView{Status: s, Words: wordsOf(s.Name)}, nil
		}
	}
	return secretView{}, problem.New(problem.NotFound, "Sluice has no secret with this name.").
		WithNext("Open the list of secrets.")
}

func (p *secretPages) showRotateSecret(x *visit) error {
	s, err := p.oneSecret(x)
	if err != nil {
		return err
	}
	return x.render(http.StatusOK, rotateSecretPage(x.frame("Rotate: "+s.Words.Title, secretsPath), s))
}

// rotateSecret creates a new key. After a rotation of the vault's key it waits a while for all
// values to be sealed again; the page shows how many are left.
func (p *secretPages) rotateSecret(x *visit) error {
	s, err := p.oneSecret(x)
	if err != nil {
		return err
	}
	// The browser may disconnect, but a rotation that has begun is still finished.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), sealPatience)
	defer cancel()
	err = p.secrets.Rotate(ctx, x.who, s.Name, nil)
	if err == nil || s.Name == secret.VaultKey && errors.Is(err, context.DeadlineExceeded) {
		return x.done(secretsPath, "secret-rotated")
	}
	m, ok := formMistake(err)
	if !ok {
		return err
	}
	return p.renderSecrets(x, m.status, secretsView{Problem: m.Text, Next: m.Next})
}
