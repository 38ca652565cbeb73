package langflow

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/problem"
)

// The answers that Sluice gives instead of Langflow have the shapes of langflow 1.13.0 and, where
// they differ, of 1.6.8.

// pageToken is the token that Langflow's pages find where they expect one of their own. It is not
// secret and opens nothing: calls of the pages are recognized by Sluice's session cookie.
const pageToken = "sluice"

// asked is a request that Sluice answers instead of Langflow.
type asked struct{ builder.AnswerContext }

// answers are the answers by the names that the route table uses.
func answers() map[string]builder.AnswerFunc {
	all := map[string]builder.AnswerFunc{}
	for name, fn := range map[string]func(context.Context, asked) (builder.Answer, error){
		"auto_login":           answerAutoLogin,
		"session":              answerSession,
		"refresh":              answerRefresh,
		"logout":               answerLogout,
		"login":                answerLogin,
		"users.whoami":         answerWhoami,
		"users.list":           answerUsers,
		"users.create":         answerCreateUser,
		"users.get":            answerGetUser,
		"users.update":         answerUpdateUser,
		"users.delete":         answerDeleteUser,
		"users.reset-password": answerResetPassword,
		"keys.list":            answerKeys,
		"keys.create":          answerCreateKey,
		"keys.delete":          answerRevokeKey,
		"store-key":            answerStoreKey,
		"permissions":          answerPermissions,
		"denied.save":          deniedSave,
		"denied.component":     deniedComponent,
		"denied.quiet":         deniedQuiet,
		"denied.list":          deniedList,
	} {
		all[name] = func(ctx context.Context, c builder.AnswerContext) (builder.Answer, error) {
			return fn(ctx, asked{c})
		}
	}
	return all
}

// detailBody is the shape of Langflow's errors and of its short answers. Its pages show a text
// verbatim.
type detailBody struct {
	Detail any `json:"detail"`
}

// old reports whether the builder uses the shapes from before 1.7: times without a zone, keys
// without an expiry, another status for auto_login.
func (c asked) old() bool {
	major, rest, _ := strings.Cut(c.Version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(minor)
	return err == nil && (major == "0" || major == "1" && n < 7)
}

// answerAutoLogin always says no. An automatic sign-in hides the page's user menu and its way out,
// and signing in is Sluice's job.
func answerAutoLogin(_ context.Context, c asked) (builder.Answer, error) {
	status, message := http.StatusForbidden, "Auto login is disabled."
	if c.old() {
		status, message = http.StatusBadRequest, "Auto login is disabled. Please enable it in the settings"
	}
	type refusal struct {
		Message   string `json:"message"`
		AutoLogin bool   `json:"auto_login"`
	}
	return builder.JSON(status, detailBody{refusal{Message: message}}), nil
}

// sessionState is the answer to the question who is signed in.
type sessionState struct {
	Authenticated bool    `json:"authenticated"`
	User          *person `json:"user"`
	StoreAPIKey   *string `json:"store_api_key"`
}

func answerSession(ctx context.Context, c asked) (builder.Answer, error) {
	if !c.Principal.SignedIn() {
		return builder.JSON(http.StatusOK, sessionState{}), nil
	}
	user, err := c.self(ctx)
	if err != nil {
		return builder.Answer{}, err
	}
	return builder.JSON(http.StatusOK, sessionState{Authenticated: true, User: &user}), nil
}

// tokenTriple is what Langflow's pages get when they sign in.
type tokenTriple struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Type    string `json:"token_type"`
}

func answerRefresh(_ context.Context, c asked) (builder.Answer, error) {
	if !c.Principal.SignedIn() {
		return builder.Answer{}, problem.New(problem.Unauthenticated, "Invalid refresh token").
			WithNext("Sign in at " + c.SignInURL)
	}
	return builder.JSON(http.StatusOK, tokenTriple{pageToken, pageToken, "bearer"}), nil
}

// answerLogin ignores the password in the request: passwords belong to Sluice and are typed only on
// its own pages.
func answerLogin(ctx context.Context, c asked) (builder.Answer, error) {
	if c.Principal.SignedIn() {
		return answerRefresh(ctx, c)
	}
	return builder.Answer{}, problem.New(problem.Unauthenticated, "Passwords are not accepted here.").
		WithRule("sign-in").
		WithNext("Sign in at " + c.SignInURL + "; programs use a Sluice API key.")
}

// answerLogout revokes the session on all origins. The proxy clears the cookies that the page keeps
// of it.
func answerLogout(ctx context.Context, c asked) (builder.Answer, error) {
	if c.Principal.SignedIn() {
		if err := c.SignOut(ctx); err != nil {
			return builder.Answer{}, fmt.Errorf("signing out: %w", err)
		}
	}
	return builder.JSON(http.StatusOK, map[string]string{"message": "Logout successful"}), nil
}

// answerStoreKey refuses keys of Langflow's store, because Langflow would keep them in the account
// of the whole workspace.
func answerStoreKey(context.Context, asked) (builder.Answer, error) {
	return builder.Answer{}, problem.New(problem.Denied, "The Langflow store is not available behind Sluice.").
		WithRule("store")
}

// timeText is a moment as pydantic writes it, with microseconds unless they are zero. Old versions
// omit the zone.
func (c asked) timeText(t time.Time) string {
	form := "2006-01-02T15:04:05.000000"
	if t.Nanosecond() == 0 {
		form = "2006-01-02T15:04:05"
	}
	if !c.old() {
		form += "Z"
	}
	return t.UTC().Format(form)
}

// timeOrNull is timeText, or null for never.
func (c asked) timeOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := c.timeText(t)
	return &text
}

// decode reads the JSON object of a request.
func decode[T any](c asked) (T, error) {
	return builder.Decode[T](c.AnswerContext, "The body of this request has an unexpected form.")
}

// onPage turns a refusal into one that Langflow's pages can show. They know nothing of a fresh
// proof of identity, and show one sentence.
func (c asked) onPage(err error) error {
	if !problem.Is(err, problem.StepUp) {
		return err
	}
	return problem.New(problem.Denied, "Confirm your identity at "+c.ConfirmURL+", then try again.").
		WithRule("step-up")
}

// signedIn refuses strangers.
func (c asked) signedIn() error {
	if c.Principal.Kind != authz.Person || c.People == nil {
		return problem.New(problem.Unauthenticated, "You are not signed in.").WithNext("Sign in at " + c.SignInURL)
	}
	return nil
}

func (c asked) shownKey(k authn.APIKey) shownKey {
	out := shownKey{
		Name:       k.Name,
		LastUsedAt: c.timeOrNull(k.LastUsedAt),
		IsActive:   k.Usable,
		ID:         k.ID,
		APIKey:     k.Prefix + keyMask,
		UserID:     k.Owner,
		CreatedAt:  c.timeText(k.CreatedAt),
	}
	if !c.old() {
		out.CreatedAt = k.CreatedAt.UTC().Format("2006-01-02T15:04:05+00:00")
	}
	if k.LastUsedAt.IsZero() {
		out.TotalUses = new(int)
	}
	switch {
	case c.old():
	case k.ExpiresAt.IsZero():
		out.ExpiresAt = json.RawMessage("null")
	default:
		out.ExpiresAt = json.RawMessage(`"` + c.timeText(k.ExpiresAt) + `"`)
	}
	return out
}
