package profile

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sluice/internal/authz"
	"sluice/internal/problem"
)

// What Sluice answers in Langflow's stead, in the shapes of langflow 1.13.0 and, where they differ, of 1.6.8.

// langflowPageToken stands where Langflow's pages look for a token of their own. It is no secret and opens nothing: calls of the pages are known by Sluice's session cookie.
const langflowPageToken = "sluice"

// langflowAnswers are the answers by the names that the route table uses.
func langflowAnswers() map[string]answerFunc {
	return map[string]answerFunc{
		"auto_login": langflowAutoLogin, "session": langflowSessionAnswer, "refresh": langflowRefresh, "logout": langflowLogout, "login": langflowLogin,
		"users.whoami": langflowWhoami, "users.list": langflowUsers, "users.create": langflowCreateUser, "users.get": langflowGetUser,
		"users.update": langflowUpdateUser, "users.delete": langflowDeleteUser, "users.reset-password": langflowResetPassword,
		"keys.list": langflowKeys, "keys.create": langflowMakeKey, "keys.delete": langflowRevokeKey, "store-key": langflowStoreKey,
		"permissions": langflowPermissions, "denied.save": langflowDeniedSave, "denied.component": langflowDeniedComponent, "denied.quiet": langflowDeniedQuiet,
		"denied.list": langflowDeniedList,
	}
}

// langflowDetail is the shape of Langflow's errors and of its short answers. Its pages show a text as it is.
type langflowDetail struct {
	Detail any `json:"detail"`
}

// old tells whether the builder's shapes are those of before 1.7: times without a zone, keys without an end, another status for auto_login.
func (c AnswerContext) old() bool {
	major, rest, _ := strings.Cut(c.Version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(minor)
	return err == nil && (major == "0" || major == "1" && n < 7)
}

// langflowAutoLogin always says no: an automatic sign-in hides the page's user menu and its way out, and is Sluice's matter.
func langflowAutoLogin(_ context.Context, c AnswerContext) (Answer, error) {
	status, message := http.StatusForbidden, "Auto login is disabled."
	if c.old() {
		status, message = http.StatusBadRequest, "Auto login is disabled. Please enable it in the settings"
	}
	type refusal struct {
		Message   string `json:"message"`
		AutoLogin bool   `json:"auto_login"`
	}
	return jsonAnswer(status, langflowDetail{refusal{Message: message}}), nil
}

// langflowState is the answer to "who is signed in?".
type langflowState struct {
	Authenticated bool            `json:"authenticated"`
	User          *langflowPerson `json:"user"`
	StoreAPIKey   *string         `json:"store_api_key"`
}

func langflowSessionAnswer(ctx context.Context, c AnswerContext) (Answer, error) {
	if !c.Principal.SignedIn() {
		return jsonAnswer(http.StatusOK, langflowState{}), nil
	}
	user, err := c.langflowSelf(ctx)
	if err != nil {
		return Answer{}, err
	}
	return jsonAnswer(http.StatusOK, langflowState{Authenticated: true, User: &user}), nil
}

// langflowTriple is what Langflow's pages get for having signed in.
type langflowTriple struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Type    string `json:"token_type"`
}

func langflowRefresh(_ context.Context, c AnswerContext) (Answer, error) {
	if !c.Principal.SignedIn() {
		return Answer{}, problem.New(problem.Unauthenticated, "Invalid refresh token").WithNext("Sign in at " + c.SignInURL)
	}
	return jsonAnswer(http.StatusOK, langflowTriple{langflowPageToken, langflowPageToken, "bearer"}), nil
}

// langflowLogin never looks at the password that it is sent: passwords are Sluice's and typed on its own pages only.
func langflowLogin(ctx context.Context, c AnswerContext) (Answer, error) {
	if c.Principal.SignedIn() {
		return langflowRefresh(ctx, c)
	}
	return Answer{}, problem.New(problem.Unauthenticated, "Passwords are not taken here.").WithRule("sign-in").
		WithNext("Sign in at " + c.SignInURL + "; programs use an API key of Sluice's.")
}

// langflowLogout ends the session on all origins, and takes back what the page keeps of it.
func langflowLogout(ctx context.Context, c AnswerContext) (Answer, error) {
	if c.Principal.SignedIn() {
		if err := c.SignOut(ctx); err != nil {
			return Answer{}, fmt.Errorf("signing out: %w", err)
		}
	}
	return jsonAnswer(http.StatusOK, map[string]string{"message": "Logout successful"}), nil
}

// langflowStoreKey refuses keys of Langflow's store: they would be kept in the account of the whole workspace.
func langflowStoreKey(context.Context, AnswerContext) (Answer, error) {
	return Answer{}, problem.New(problem.Denied, "The Langflow store cannot be used behind Sluice.").WithRule("store")
}

// langflowTime is a moment as pydantic writes it: with microseconds unless they are zero; old versions leave the zone out.
func (c AnswerContext) langflowTime(t time.Time) string {
	form := "2006-01-02T15:04:05.000000"
	if t.Nanosecond() == 0 {
		form = "2006-01-02T15:04:05"
	}
	if !c.old() {
		form += "Z"
	}
	return t.UTC().Format(form)
}

// langflowMaybe is langflowTime, or null for never.
func (c AnswerContext) langflowMaybe(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := c.langflowTime(t)
	return &text
}

// langflowBody reads the JSON object of a request.
func langflowBody[T any](c AnswerContext) (v T, err error) {
	body, err := c.Body()
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return v, problem.New(problem.Invalid, "The body of this request is not what was expected.").WithRule("body.json").WithCause(err)
	}
	return v, nil
}

// onPage makes a refusal one that Langflow's pages can show: they know nothing of a fresh proof of identity, and show one sentence.
func (c AnswerContext) onPage(err error) error {
	if !problem.Is(err, problem.StepUp) {
		return err
	}
	return problem.New(problem.Denied, "Confirm first that it is you, at "+c.ConfirmURL+", and try again.").WithRule("step-up")
}

// signedIn refuses strangers.
func (c AnswerContext) signedIn() error {
	if c.Principal.Kind != authz.Person || c.People == nil {
		return problem.New(problem.Unauthenticated, "Nobody is signed in.").WithNext("Sign in at " + c.SignInURL)
	}
	return nil
}
