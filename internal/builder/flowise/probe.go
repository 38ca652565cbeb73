package flowise

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sluice/internal/builder"
	"sluice/internal/problem"
)

// probe recognizes Flowise by two JSON answers that no other product gives.
func probe(ctx context.Context, v *builder.Visit) (builder.Found, bool, error) {
	version, err := v.Get(ctx, "/api/v1/version")
	if err != nil {
		return builder.Found{}, false, err
	}
	if version.Status != http.StatusOK || version.Text("version") == "" || version.Text("package") != "" {
		return builder.Found{}, false, nil
	}
	settings, err := v.Get(ctx, "/api/v1/settings")
	if err != nil {
		return builder.Found{}, false, err
	}
	number, platform := version.Text("version"), settings.Text("PLATFORM_TYPE")
	if platform == "" {
		if ping, err := v.Get(ctx, "/api/v1/ping"); err != nil || strings.TrimSpace(string(ping.Body)) != "pong" {
			return builder.Found{}, false, err
		}
	}
	if !strings.HasPrefix(number, "3.") {
		return builder.Found{}, false, problem.Newf(problem.Invalid, "This is Flowise %.20s. Sluice supports "+
			"Flowise 3 only; other versions sign in differently.", number).
			WithField("url").
			WithNext("Update Flowise to 3.1.4.")
	}
	f := builder.Found{
		Version: builder.Clip(number, 20), OwnerState: builder.OwnerNotApplicable,
		Evidence: fmt.Sprintf("/api/v1/version says %.20s, platform %.40q.", number, platform),
	}
	resolve, err := v.Send(ctx, http.MethodPost, "/api/v1/auth/resolve", nil, struct{}{})
	if err != nil {
		return builder.Found{}, false, err
	}
	switch to := resolve.Text("redirectUrl"); to {
	case "/organization-setup":
		f.OwnerState = builder.OwnerNone
	case "/signin":
		f.OwnerState = builder.OwnerPresent
	default:
		return builder.Found{}, false, problem.Newf(problem.Upstream, "Flowise %.20s does not report how its "+
			"owner signs in (%.60q).", number, to).
			WithField("url").
			WithNext("Open Flowise directly and check that its sign-in page works.")
	}
	if platform != "" && platform != "open source" {
		f.Note = fmt.Sprintf("Its platform is %.40q; Sluice supports the open source edition.", platform)
	}
	return f, true, nil
}

// newOwnerPassword generates a password of more than 128 random bits that satisfies Flowise's rule.
func newOwnerPassword() string { return rand.Text() + "-aA1" }

// registerOwner creates the first account of a Flowise. Errors: problem.Conflict if Flowise already
// has an owner, problem.Invalid with the field if it refuses the name, address or password,
// problem.Upstream or Timeout if it does not answer.
func registerOwner(ctx context.Context, httpClient *http.Client, base *url.URL, o builder.OwnerAccount) error {
	c := builder.NewClient(base, httpClient)
	body := map[string]any{"user": map[string]string{"name": o.Name, "email": o.Email, "credential": o.Password}}
	r, err := c.Send(ctx, http.MethodPost, "/api/v1/account/register", nil, body)
	if err != nil {
		return err
	}
	user, _ := r.Object()["user"].(map[string]any)
	if id, _ := user["id"].(string); r.Status == http.StatusCreated && id != "" {
		return nil
	}
	message := r.Text("message")
	switch {
	case strings.Contains(message, "only have one organization"):
		return problem.New(problem.Conflict, "This Flowise already has an owner.").
			WithNext("Enter the owner's email address and password.")
	case r.Status == http.StatusBadRequest && strings.Contains(message, "Password"):
		return problem.New(problem.Invalid, "Flowise did not accept the owner's password.").
			WithField("owner_password").
			WithNext("Use 8 to 128 characters with lowercase and uppercase letters, a digit and a special character.")
	case r.Status == http.StatusBadRequest && message != "":
		why := builder.Clip(message, 120)
		return problem.Newf(problem.Invalid, "Flowise did not accept the owner account: %s", why).
			WithField("owner_email")
	}
	return problem.Newf(problem.Upstream, "Flowise could not register its owner (status %d).", r.Status).
		WithNext("See Flowise's log.")
}

// testOwner signs the owner in and out once. Errors: problem.Unauthenticated with Field
// "owner_password" for wrong credentials, problem.Upstream, Unavailable or Timeout if Flowise gives
// no usable answer. Close a bridge of the same Flowise first, so that two sign-ins never overlap.
func testOwner(ctx context.Context, httpClient *http.Client, base *url.URL, o builder.OwnerAccount) error {
	c := builder.NewClient(base, httpClient)
	s, err := signInOwner(ctx, c, builder.Access{Email: o.Email, Password: o.Password}, time.Now())
	if err != nil {
		return err
	}
	_, err = c.Send(ctx, http.MethodPost, "/api/v1/account/logout", s.header, struct{}{})
	return err
}
