package profile

import (
	"fmt"
	"net/http"

	"sluice/internal/problem"
)

// langflowCSP keeps what Langflow's pages would load from other hosts out (fonts, a star counter) and every inline script; their own bundle needs neither. Styles are
// written by script at run time, the pages have a <base> of their own, and editors run in workers made from text.
const langflowCSP = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; media-src 'self' data: blob:; worker-src 'self' blob:; " +
	"manifest-src 'self'; frame-src 'none'; object-src 'none'; base-uri 'self'; form-action 'self'"

// langflowQuery lists the parameters by which handlers of langflow 1.6.8 and 1.13.0 find objects, and those by which they take credentials. Langflow splits every value
// at commas, so that one parameter can be two.
var langflowQuery = queryRules{
	ids:     map[string]bool{"flow_id": true, "source_flow_id": true, "folder_id": true, "project_id": true, "job_id": true},
	once:    map[string]bool{"session_id": true, "old_session_id": true, "new_session_id": true, "end_user_id": true},
	secrets: map[string]bool{"x-api-key": true, "api-key": true, "apikey": true, "token": true, "access-token": true},
}

func newLangflow(o Options) (*Profile, error) {
	t, err := loadTable(langflowTable, true, o.Open)
	if err != nil {
		return nil, fmt.Errorf("langflow: %w", err)
	}
	return &Profile{Kind: KindLangflow, Title: "Langflow", table: t, style: style{
		cookies: []string{"access_token_lf", "refresh_token_lf", "apikey_tkn_lflw", "auto_login_lf"},
		// client_id tells one visitor of a published flow from another, the others belong to a consent in another window.
		sealed: true, passes: []string{"client_id", "lf_connection_oauth_*"},
		headers:  dropped("authorization", "x-api-key", "api-key", "x-langflow-mcp-composer-token", "x-oauth-scopes"),
		prefixes: []string{"x-langflow-global-var-"},
		csp:      langflowCSP, query: langflowQuery, errorBody: langflowError, pageCall: langflowPageCall, pageDenied: langflowPageError,
		entry:   func(returnPath string) string { return returnPath },
		answers: langflowAnswers(), pageScript: langflowPageScript, pageCookies: langflowPageCookies, pageToken: langflowPageToken,
	}}, nil
}

// langflowStores is the first release (1.x) that takes the flow of a public run from its own database. What is older runs what the request brings (CVE-2026-33017).
const langflowStores = 9

// Restores reports whether this version of the builder needs the stored flow in the body of a request from whoever may not bring one of their own.
func (p *Profile) Restores(e *Endpoint, version string) bool {
	minor, ok := langflowMinor(version)
	return e.Restores != "" && ok && minor < langflowStores
}

// langflowErrorBody is the shape of Langflow's errors (FastAPI's "detail") with Sluice's safe fields beside it. The pages show detail as it is, so it holds the whole
// sentence.
type langflowErrorBody struct {
	Detail    string `json:"detail"`
	Status    int    `json:"status"`
	Next      string `json:"next,omitempty"`
	Field     string `json:"field,omitempty"`
	Rule      string `json:"rule,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

func langflowError(e *problem.Error, requestID string) (string, any) {
	b := langflowErrorBody{Detail: e.Detail, Status: e.Kind.Status(), Next: e.Next, Field: e.Field, Rule: e.Rule, RequestID: requestID}
	if e.Next != "" {
		b.Detail += " " + e.Next
	}
	return "application/json", b
}

// langflowPageStatus is what Langflow's own pages get in place of 403. After a 403 they ask for a fresh token and send the call again, and after some of them they sign
// the person out; with any other status they show the text. 423 Locked (RFC 4918 section 11.3) comes nearest.
const langflowPageStatus = http.StatusLocked

// langflowPageCall recognises what a page of the app's own origin fetches (Fetch Metadata), and axios by the types that it accepts where the browser says nothing, as
// it does for origins that are not secure.
func langflowPageCall(h http.Header) bool {
	if site := h.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin" && h.Get("Sec-Fetch-Mode") != "navigate"
	}
	return h.Get("Accept") == "application/json, text/plain, */*"
}

func langflowPageError(e *problem.Error, requestID string) Answer {
	_, body := langflowError(e, requestID)
	b, _ := body.(langflowErrorBody)
	b.Status = langflowPageStatus
	return jsonAnswer(langflowPageStatus, b)
}
