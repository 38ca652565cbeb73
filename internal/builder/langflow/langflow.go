package langflow

import (
	_ "embed"
	"net/http"
	"net/url"

	"sluice/internal/builder"
	"sluice/internal/builder/langflow/database"
	"sluice/internal/builder/langflow/guards"
	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// csp blocks everything that Langflow's pages would load from other hosts (fonts, a star counter)
// and every inline script; their own bundle needs neither. It allows inline styles, which scripts
// write at run time, the pages' own <base>, and workers created from text, which editors use.
const csp = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; media-src 'self' data: blob:; " +
	"worker-src 'self' blob:; " +
	"manifest-src 'self'; frame-src 'none'; object-src 'none'; base-uri 'self'; form-action 'self'"

// query lists the parameters by which handlers of langflow 1.6.8 and 1.13.0 look up objects, and
// those that carry credentials. Langflow splits every value at commas, so one parameter can act as
// two.
var query = profile.QueryRules{
	IDs: map[string]bool{
		"flow_id": true, "source_flow_id": true, "folder_id": true, "project_id": true, "job_id": true,
	},
	Once: map[string]bool{
		"session_id": true, "old_session_id": true, "new_session_id": true, "end_user_id": true,
	},
	Secrets: map[string]bool{
		"x-api-key": true, "api-key": true, "apikey": true, "token": true, "access-token": true,
	},
}

//go:embed langflow.yaml
var table []byte

// Kind is Langflow.
func Kind() *builder.Kind {
	return &builder.Kind{
		Name:  name,
		Title: "Langflow",
		Profile: func(o builder.Options) (*profile.Profile, error) {
			return profile.New(profile.Source{Table: table, Open: o.Open, Style: style})
		},
		Answers: answers(),
		Guards:  new(guards.Guard).Checks(),
		Probe:   probe,
		Import:  database.Import(),
		Bridge:  build,
		Accounts: &builder.AccountSetup{
			Modes:      modes,
			Test:       try,
			TrustLines: trustLines,
			Texts:      texts,
			Form:       form,
		},
		Page:     &builder.Page{Script: pageScript, Cookies: pageCookies, Token: pageToken},
		FlowWord: func(flow.Kind) string { return "Flow" },
		FlowPage: func(_ flow.Kind, id string) string { return "/flow/" + url.PathEscape(id) },
		RunCall:  &builder.RunCall{Path: "/api/v1/run/", Body: `{"input_value": "Hello"}`},
		Stored: &builder.StoredFlow{
			Needed: needsStoredFlow,
			Path:   func(flowID string) string { return "/api/v1/flows/public_flow/" + flowID },
		},
	}
}

// name is the kind's name. Preferences that Langflow's pages store about a person are under this
// name.
const name = "langflow"

// style describes the remaining peculiarities of Langflow's requests and answers.
var style = profile.Style{
	Cookies: []string{"access_token_lf", "refresh_token_lf", "apikey_tkn_lflw", "auto_login_lf"},
	Sealed:  true,
	// client_id distinguishes the visitors of a published flow; the other cookies belong to a
	// consent in another window.
	Passes: []string{"client_id", "lf_connection_oauth_*"},
	Headers: []string{
		"authorization",
		"x-api-key",
		"api-key",
		"x-langflow-mcp-composer-token",
		"x-oauth-scopes",
	},
	HeaderPrefixes: []string{"x-langflow-global-var-"},
	CSP:            csp,
	Query:          query,
	Error:          renderError,
	PageCall:       isPageCall,
	PageDenied:     pageError,
}

// storesFlows is the first release (1.x) that takes the flow of a public run from its own database.
// Older releases run the flow that the request brings (CVE-2026-33017).
const storesFlows = 9

// needsStoredFlow reports whether this version of Langflow needs the stored flow in the body of a
// request from a client that may not bring its own.
func needsStoredFlow(version string) bool {
	minor, ok := minorVersion(version)
	return ok && minor < storesFlows
}

// errorBody is the shape of Langflow's errors (FastAPI's "detail") plus Sluice's safe fields. The
// pages show detail verbatim, so it holds the whole sentence.
type errorBody struct {
	Detail    string `json:"detail"`
	Status    int    `json:"status"`
	Next      string `json:"next,omitempty"`
	Field     string `json:"field,omitempty"`
	Rule      string `json:"rule,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

func renderError(e *problem.Error, requestID string) (string, any) {
	b := errorBody{
		Detail:    e.Detail,
		Status:    e.Kind.Status(),
		Next:      e.Next,
		Field:     e.Field,
		Rule:      e.Rule,
		RequestID: requestID,
	}
	if e.Next != "" {
		b.Detail += " " + e.Next
	}
	return "application/json", b
}

// pageStatus is the status that Langflow's own pages get in place of 403. After a 403 they get a
// fresh token and repeat the call, and after some calls they sign the person out. With any other
// status they show the text. 423 Locked (RFC 4918 section 11.3) is the closest match.
const pageStatus = http.StatusLocked

// isPageCall recognizes requests from a page of the app's own origin by Fetch Metadata. Browsers
// send no such headers to insecure origins; there it recognizes axios by its Accept header.
func isPageCall(h http.Header) bool {
	if site := h.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin" && h.Get("Sec-Fetch-Mode") != "navigate"
	}
	return h.Get("Accept") == "application/json, text/plain, */*"
}

func pageError(e *problem.Error, requestID string) profile.Answer {
	_, body := renderError(e, requestID)
	b, _ := body.(errorBody)
	b.Status = pageStatus
	return profile.JSON(pageStatus, b)
}
