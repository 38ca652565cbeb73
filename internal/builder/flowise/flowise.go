package flowise

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"net/url"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// csp blocks everything that Flowise's page would load from other hosts (fonts, a marketing script,
// a star counter, template pictures) and every inline script; its own bundle needs neither. Inline
// styles are allowed because scripts write them at run time.
const csp = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; media-src 'self' data: blob:; " +
	"worker-src 'self' blob:; " +
	"manifest-src 'self'; frame-src 'none'; object-src 'none'; base-uri 'none'; form-action 'self'"

// entry is the Flowise page that asks auth/sso-success who signed in and stores the answer. Its
// token is not secret: Sluice answers that call on the strength of the session's cookie alone. The
// page always continues to "/", even if another page was requested first.
const entry = "/sso-success?token=sluice"

// query lists the parameters by which handlers of flowise@3.1.4 look up objects and files.
var query = profile.QueryRules{
	PlainKeys: true,
	Files:     map[string]bool{"filename": true},
	IDs: map[string]bool{
		"id": true, "chatflowid": true, "agentflowid": true, "chatid": true, "sessionid": true, "messageid": true,
		"executionid": true, "credential": true, "credentialid": true, "storeid": true, "docid": true, "loaderid": true,
		"organizationid": true, "workspaceid": true, "userid": true, "roleid": true, "apikey": true, "state": true,
	},
}

//go:embed flowise.yaml
var table []byte

// Kind is Flowise.
func Kind() *builder.Kind {
	return &builder.Kind{
		Name:  "flowise",
		Title: "Flowise",
		Profile: func(o builder.Options) (*profile.Profile, error) {
			return profile.New(profile.Source{Table: table, Open: o.Open, Style: style})
		},
		Answers: map[string]builder.AnswerFunc{
			"resolve":      resolve,
			"user":         user,
			"refresh":      user,
			"logout":       logout,
			"account":      account,
			"loginmethods": loginMethods,
			"keys.list":    listKeys,
			"keys.create":  createKey,
			"keys.update":  changeKey,
			"keys.delete":  revokeKey,
			"keys.verify":  verifyKey,
			"streaming":    streaming,
			"absent":       absent,
		},
		KeepsCredentials: true,
		Probe:            probe,
		Bridge:           build,
		Owner:            &builder.Owner{NewPassword: newOwnerPassword, Register: registerOwner, Test: testOwner},
		Entry:            func(string) string { return entry },
		FlowTypes:        flowTypes,
		FlowPage:         flowPage,
		RunCall:          &builder.RunCall{Path: "/api/v1/prediction/", Body: `{"question": "Hello"}`},
		Shared: &builder.SharedNames{
			Kind:     flow.Variable,
			Mentions: mentionsVariable,
			Foreign:  namesForeignVariable,
			Taken:    "All workspaces share Flowise's variable names. Choose another name.",
			Form:     "Name variables of your workspace as $vars.name.",
		},
	}
}

// style describes the remaining peculiarities of Flowise's requests and answers.
var style = profile.Style{
	Cookies:    []string{"token", "refreshToken", "connect.sid"},
	Sealed:     true,
	Headers:    []string{"authorization", "x-api-key", "x-request-from", "x-refresh-token", "flowise-tool"},
	CSP:        csp,
	Query:      query,
	Error:      renderError,
	PageCall:   isPageCall,
	PageDenied: pageError,
}

// flowPage is the page of a flow.
func flowPage(kind flow.Kind, id string) string {
	switch kind {
	case flow.Chatflow:
		return "/canvas/" + url.PathEscape(id)
	case flow.Agentflow:
		return "/v2/agentcanvas/" + url.PathEscape(id)
	}
	return "/assistants"
}

// invalidToken is the text that makes Flowise's pages forget the person and ask auth/resolve where
// to sign in. With any other text they show Flowise's own sign-in form.
const invalidToken = "Invalid or Missing token"

// errorBody is Flowise's error shape (statusCode, success, message) plus Sluice's safe fields. The
// pages show message verbatim, so it holds the whole sentence and not just "Forbidden".
type errorBody struct {
	StatusCode int    `json:"statusCode"`
	Success    bool   `json:"success"`
	Message    string `json:"message"`
	Error      string `json:"error,omitempty"`
	Detail     string `json:"detail,omitempty"`
	Next       string `json:"next,omitempty"`
	Field      string `json:"field,omitempty"`
	Rule       string `json:"rule,omitempty"`
	RequestID  string `json:"requestId,omitempty"`
}

func renderError(e *problem.Error, requestID string) (string, any) {
	return "application/json; charset=utf-8", bodyOf(e, requestID)
}

func bodyOf(e *problem.Error, requestID string) errorBody {
	b := errorBody{
		StatusCode: e.Kind.Status(),
		Message:    e.Detail,
		Next:       e.Next,
		Field:      e.Field,
		Rule:       e.Rule,
		RequestID:  requestID,
	}
	switch {
	case e.Kind == problem.Unauthenticated && !authn.TokenTrouble(e):
		b.Message, b.Detail = invalidToken, e.Detail
	case e.Kind == problem.Denied:
		b.Error = "Forbidden"
	}
	if b.Detail == "" && e.Next != "" {
		b.Message += " " + e.Next
	}
	return b
}

// pageStatus is the status that Flowise's own pages get in place of 403. On a 403 they navigate to
// a page that says only "Forbidden", and unsaved edits are lost. With any other status they stay
// and show the message. 423 Locked (RFC 4918 section 11.3) is the closest match.
const pageStatus = http.StatusLocked

func isPageCall(h http.Header) bool { return h.Get("X-Request-From") == internalCall[0] }

func pageError(e *problem.Error, requestID string) profile.Answer {
	b := bodyOf(e, requestID)
	// The page shows the message on one line after its own words, and truncates a long text at the
	// front.
	b.StatusCode, b.Message = pageStatus, e.Detail
	return profile.JSON(pageStatus, b)
}

// resolve answers the question where to sign in.
func resolve(_ context.Context, c builder.AnswerContext) (builder.Answer, error) {
	to := entry
	if !c.Principal.SignedIn() {
		to = c.SignInURL
	}
	return builder.JSON(http.StatusOK, map[string]string{"redirectUrl": to}), nil
}

// user answers with the signed-in person: their own name, combined with the service account's
// organization and workspace.
func user(_ context.Context, c builder.AnswerContext) (builder.Answer, error) {
	if !c.Principal.SignedIn() {
		return builder.Answer{}, problem.New(problem.Unauthenticated, "You are not signed in.")
	}
	if c.Upstream == nil {
		return builder.Answer{}, problem.New(problem.Unavailable, "Sluice currently has no session with Flowise.").
			WithNext("Try again in a few seconds.")
	}
	shown := maps.Clone(c.Upstream)
	admin := managesBuilder(c.Principal)
	shown["id"], shown["email"], shown["name"] = c.Principal.ID, c.Principal.Email, builder.PersonName(c.Principal)
	shown["isSSO"], shown["isOrganizationAdmin"] = true, admin
	if !admin {
		shown["permissions"] = []string{
			"chatflows:view",
			"agentflows:view",
			"executions:view",
			"tools:view",
			"assistants:view",
			"variables:view",
			"documentStores:view",
			"templates:marketplace",
			"templates:custom",
		}
	}
	return builder.JSON(http.StatusOK, shown), nil
}

// managesBuilder decides whether Flowise's pages show an administrator's view. It grants nothing:
// every call is authorized separately.
func managesBuilder(p authz.Principal) bool {
	return p.Superuser || builder.RoleOf(p) == authz.RoleAdmin
}

// account answers GET /user for the account page: the person, not the service owner.
func account(_ context.Context, c builder.AnswerContext) (builder.Answer, error) {
	if id := c.Query.Get("id"); id != "" && id != c.Principal.ID {
		return builder.Answer{}, problem.New(problem.NotFound, "There is no such person here.").
			WithNext("People are managed in Sluice.")
	}
	now := c.Now.UTC().Format("2006-01-02T15:04:05.000Z")
	return builder.JSON(http.StatusOK, map[string]any{
		"id":          c.Principal.ID,
		"name":        builder.PersonName(c.Principal),
		"email":       c.Principal.Email,
		"status":      "active",
		"isSSO":       true,
		"createdDate": now,
		"updatedDate": now,
	}), nil
}

// loginMethods answers that Sluice is the only way to sign in.
func loginMethods(context.Context, builder.AnswerContext) (builder.Answer, error) {
	return builder.JSON(http.StatusOK, struct{}{}), nil
}

// absent answers requests for files that the pages ask for but that exist nowhere.
func absent(context.Context, builder.AnswerContext) (builder.Answer, error) {
	return builder.JSON(
		http.StatusNotFound,
		errorBody{StatusCode: http.StatusNotFound, Message: "There is no such file."},
	), nil
}

func logout(ctx context.Context, c builder.AnswerContext) (builder.Answer, error) {
	if c.Principal.SignedIn() {
		if err := c.SignOut(ctx); err != nil {
			return builder.Answer{}, fmt.Errorf("signing out: %w", err)
		}
	}
	return builder.JSON(http.StatusOK, map[string]string{"message": "logged_out", "redirectTo": c.SignedOutURL}), nil
}
