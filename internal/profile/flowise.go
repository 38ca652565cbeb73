package profile

import (
	"context"
	"fmt"
	"maps"
	"net/http"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/problem"
)

// flowiseCSP keeps what Flowise's page would load from other hosts out (fonts, a marketing script, a star counter, template pictures) and
// every inline script; its own bundle needs neither. Styles are written by script at run time.
const flowiseCSP = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; media-src 'self' data: blob:; worker-src 'self' blob:; " +
	"manifest-src 'self'; frame-src 'none'; object-src 'none'; base-uri 'none'; form-action 'self'"

// flowiseEntry is the page of Flowise that asks auth/sso-success who has signed in and keeps the answer. Its token is no secret: Sluice
// answers that call for the session's cookie alone. The page goes to "/" afterwards, whatever was asked for first.
const flowiseEntry = "/sso-success?token=sluice"

// flowiseQuery lists the parameters by which handlers of flowise@3.1.4 find objects and files.
var flowiseQuery = queryRules{
	plainKeys: true,
	files:     map[string]bool{"filename": true},
	ids: map[string]bool{
		"id": true, "chatflowid": true, "agentflowid": true, "chatid": true, "sessionid": true, "messageid": true, "executionid": true, "credential": true,
		"credentialid": true, "storeid": true, "docid": true, "loaderid": true, "organizationid": true, "workspaceid": true, "userid": true, "roleid": true,
		"apikey": true, "state": true,
	},
}

func newFlowise(o Options) (*Profile, error) {
	t, err := loadTable(flowiseTable, true, o.Open)
	if err != nil {
		return nil, fmt.Errorf("flowise: %w", err)
	}
	return &Profile{Kind: KindFlowise, Title: "Flowise", table: t, style: style{
		cookies: []string{"token", "refreshToken", "connect.sid"},
		sealed:  true,
		headers: dropped("authorization", "x-api-key", "x-request-from", "x-refresh-token", "flowise-tool"),
		csp:     flowiseCSP, query: flowiseQuery, errorBody: flowiseError, pageCall: flowisePageCall, pageDenied: flowisePageError,
		entry: func(string) string { return flowiseEntry },
		answers: map[string]answerFunc{
			"resolve": flowiseResolve, "user": flowiseUser, "refresh": flowiseUser, "logout": flowiseLogout, "account": flowiseAccount,
			"keys.list": flowiseKeys, "keys.create": flowiseMakeKey, "keys.update": flowiseChangeKey, "keys.delete": flowiseRevokeKey, "keys.verify": flowiseVerifyKey,
			"streaming": flowiseStreaming,
			"absent":    flowiseAbsent, "loginmethods": func(context.Context, AnswerContext) (Answer, error) {
				return jsonAnswer(http.StatusOK, struct{}{}), nil
			},
		},
	}}, nil
}

// flowiseInvalidToken is the text on which Flowise's pages forget the person and ask auth/resolve where to sign in. With any other text they
// show Flowise's own sign-in form.
const flowiseInvalidToken = "Invalid or Missing token"

// flowiseBody is Flowise's error shape (statusCode, success, message) with Sluice's safe fields beside it. The pages show message as it
// is, so it holds the whole sentence and not just "Forbidden".
type flowiseBody struct {
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

func flowiseError(e *problem.Error, requestID string) (string, any) {
	return "application/json; charset=utf-8", flowiseErrorBody(e, requestID)
}

func flowiseErrorBody(e *problem.Error, requestID string) flowiseBody {
	b := flowiseBody{StatusCode: e.Kind.Status(), Message: e.Detail, Next: e.Next, Field: e.Field, Rule: e.Rule, RequestID: requestID}
	switch {
	case e.Kind == problem.Unauthenticated && !authn.TokenTrouble(e):
		b.Message, b.Detail = flowiseInvalidToken, e.Detail
	case e.Kind == problem.Denied:
		b.Error = "Forbidden"
	}
	if b.Detail == "" && e.Next != "" {
		b.Message += " " + e.Next
	}
	return b
}

// flowisePageStatus is what Flowise's own pages get in place of 403. On a 403 they leave for a page that says only "Forbidden", and what was
// being edited is lost; with any other status they stay and show the message. 423 Locked (RFC 4918 section 11.3) comes nearest.
const flowisePageStatus = http.StatusLocked

func flowisePageCall(h http.Header) bool { return h.Get("X-Request-From") == internalCall[0] }

func flowisePageError(e *problem.Error, requestID string) Answer {
	b := flowiseErrorBody(e, requestID)
	// The page shows the message on one line after words of its own, and cuts what is too long at its beginning.
	b.StatusCode, b.Message = flowisePageStatus, e.Detail
	return jsonAnswer(flowisePageStatus, b)
}

// flowiseResolve answers "where do I sign in?".
func flowiseResolve(_ context.Context, c AnswerContext) (Answer, error) {
	to := flowiseEntry
	if !c.Principal.SignedIn() {
		to = c.SignInURL
	}
	return jsonAnswer(http.StatusOK, map[string]string{"redirectUrl": to}), nil
}

// flowiseUser answers who is signed in: the person's own name on the service account's organization and workspace.
func flowiseUser(_ context.Context, c AnswerContext) (Answer, error) {
	if !c.Principal.SignedIn() {
		return Answer{}, problem.New(problem.Unauthenticated, "Nobody is signed in.")
	}
	if c.Upstream == nil {
		return Answer{}, problem.New(problem.Unavailable, "Sluice has no session with Flowise at the moment.").WithNext("Try again in a few seconds.")
	}
	user := maps.Clone(c.Upstream)
	admin := managesBuilder(c.Principal)
	user["id"], user["email"], user["name"] = c.Principal.ID, c.Principal.Email, personName(c.Principal)
	user["isSSO"], user["isOrganizationAdmin"] = true, admin
	if !admin {
		user["permissions"] = []string{
			"chatflows:view", "agentflows:view", "executions:view", "tools:view", "assistants:view", "variables:view", "documentStores:view",
			"templates:marketplace", "templates:custom",
		}
	}
	return jsonAnswer(http.StatusOK, user), nil
}

// managesBuilder tells Flowise's pages whether to show an administrator's view. It grants nothing: every call is decided by itself.
func managesBuilder(p authz.Principal) bool {
	return p.Superuser || RoleOf(p) == authz.RoleAdmin
}

func personName(p authz.Principal) string {
	if p.DisplayName != "" {
		return p.DisplayName
	}
	return p.Name
}

// flowiseAccount answers GET /user for the account page: the person, not the service owner.
func flowiseAccount(_ context.Context, c AnswerContext) (Answer, error) {
	if id := c.Query.Get("id"); id != "" && id != c.Principal.ID {
		return Answer{}, problem.New(problem.NotFound, "There is no such person here.").WithNext("People are managed in Sluice.")
	}
	now := c.Now.UTC().Format("2006-01-02T15:04:05.000Z")
	return jsonAnswer(http.StatusOK, map[string]any{
		"id": c.Principal.ID, "name": personName(c.Principal), "email": c.Principal.Email, "status": "active", "isSSO": true,
		"createdDate": now, "updatedDate": now,
	}), nil
}

// flowiseAbsent answers for files that the pages ask for and that exist nowhere.
func flowiseAbsent(context.Context, AnswerContext) (Answer, error) {
	return jsonAnswer(http.StatusNotFound, flowiseBody{StatusCode: http.StatusNotFound, Message: "There is no such file."}), nil
}

func flowiseLogout(ctx context.Context, c AnswerContext) (Answer, error) {
	if c.Principal.SignedIn() {
		if err := c.SignOut(ctx); err != nil {
			return Answer{}, fmt.Errorf("signing out: %w", err)
		}
	}
	return jsonAnswer(http.StatusOK, map[string]string{"message": "logged_out", "redirectTo": c.SignedOutURL}), nil
}
