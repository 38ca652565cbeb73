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

// csp keeps what Flowise's page would load from other hosts out (fonts, a marketing script, a star
// counter, template pictures) and every inline script; its own bundle needs neither. Styles are
// written by script at run time.
const csp = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; media-src 'self' data: blob:; worker-src 'self' blob:; " +
	"manifest-src 'self'; frame-src 'none'; object-src 'none'; base-uri 'none'; form-action 'self'"

// entry is the page of Flowise that asks auth/sso-success who has signed in and keeps the answer.
// Its token is no secret: Sluice answers that call for the session's cookie alone. The page goes to
// "/" afterwards, whatever was asked for first.
const entry = "/sso-success?token=sluice"

// query lists the parameters by which handlers of flowise@3.1.4 find objects and files.
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
			Taken:    "All workspaces share the names of Flowise's variables. Choose another one.",
			Form:     "Name variables of your workspace as $vars.name.",
		},
	}
}

// style is what else Flowise's requests and answers have of their own.
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

// invalidToken is the text on which Flowise's pages forget the person and ask auth/resolve where to
// sign in. With any other text they show Flowise's own sign-in form.
const invalidToken = "Invalid or Missing token"

// errorBody is Flowise's error shape (statusCode, success, message) with Sluice's safe fields
// beside it. The pages show message as it is, so it holds the whole sentence and not just
// "Forbidden".
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

// pageStatus is what Flowise's own pages get in place of 403. On a 403 they leave for a page that
// says only "Forbidden", and what was being edited is lost; with any other status they stay and
// show the message. 423 Locked (RFC 4918 section 11.3) comes nearest.
const pageStatus = http.StatusLocked

func isPageCall(h http.Header) bool { return h.Get("X-Request-From") == internalCall[0] }

func pageError(e *problem.Error, requestID string) profile.Answer {
	b := bodyOf(e, requestID)
	// The page shows the message on one line after words of its own, and cuts what is too long at
	// its beginning.
	b.StatusCode, b.Message = pageStatus, e.Detail
	return profile.JSON(pageStatus, b)
}

// resolve answers "where do I sign in?".
func resolve(_ context.Context, c builder.AnswerContext) (builder.Answer, error) {
	to := entry
	if !c.Principal.SignedIn() {
		to = c.SignInURL
	}
	return builder.JSON(http.StatusOK, map[string]string{"redirectUrl": to}), nil
}

// user answers who is signed in: the person's own name on the service account's organization and
// workspace.
func user(_ context.Context, c builder.AnswerContext) (builder.Answer, error) {
	if !c.Principal.SignedIn() {
		return builder.Answer{}, problem.New(problem.Unauthenticated, "Nobody is signed in.")
	}
	if c.Upstream == nil {
		return builder.Answer{}, problem.New(problem.Unavailable, "Sluice has no session with Flowise at the moment.").
			WithNext("Try again in a few seconds.")
	}
	shown := maps.Clone(c.Upstream)
	admin := managesBuilder(c.Principal)
	shown["id"], shown["email"], shown["name"] = c.Principal.ID, c.Principal.Email, builder.PersonName(c.Principal)
	shown["isSSO"], shown["isOrganizationAdmin"] = true, admin
	if !admin {
		shown["permissions"] = []string{
			"chatflows:view", "agentflows:view", "executions:view", "tools:view", "assistants:view", "variables:view", "documentStores:view",
			"templates:marketplace", "templates:custom",
		}
	}
	return builder.JSON(http.StatusOK, shown), nil
}

// managesBuilder tells Flowise's pages whether to show an administrator's view. It grants nothing:
// every call is decided by itself.
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
		"id": c.Principal.ID, "name": builder.PersonName(c.Principal), "email": c.Principal.Email, "status": "active", "isSSO": true,
		"createdDate": now, "updatedDate": now,
	}), nil
}

// loginMethods answers that there is no way to sign in but Sluice's.
func loginMethods(context.Context, builder.AnswerContext) (builder.Answer, error) {
	return builder.JSON(http.StatusOK, struct{}{}), nil
}

// absent answers for files that the pages ask for and that exist nowhere.
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
