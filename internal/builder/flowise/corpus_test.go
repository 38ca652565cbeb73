package flowise

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"sluice/internal/authz"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// corpusFile holds the rows of the project's attack corpus that are about Flowise, unchanged.
const corpusFile = "testdata/corpus.jsonl"

// laterGuards are the classes of corpus rows that the route table cannot decide: they depend on
// headers, on the content of bodies and files, on the owner of an object, or on the bytes of the
// connection. The proxy and the guards deny them.
var laterGuards = []string{
	"override-injection", "flow-save-code", "file-upload", "file-upload-config", "mcp-stdio", "import",
	"sql-injection", "ssrf", "mass-assignment", "idor", "idor-cross-tenant", "oauth-idor", "credential-abuse",
	"rce-authenticated", "csrf", "cors", "cors-cookie-theft", "header-trick", "host-trick", "cookie-trick",
	"cookie-policy", "oversize", "encoding", "smuggling", "websocket", "session", "dos", "default-secrets",
	"redirect", "config",
}

// laterRows are single rows of other classes that the route table cannot decide either.
var laterRows = []string{
	"fw-167", // a file name inside a data: URI inside a loader's configuration
}

type corpusRow struct {
	ID, App, Class, Method, Path, As, Expect string
	Body                                     json.RawMessage
}

func readCorpus(t *testing.T) []corpusRow {
	t.Helper()
	f, err := os.Open(corpusFile)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var rows []corpusRow
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var r corpusRow
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	if err := lines.Err(); err != nil || len(rows) < 100 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	return rows
}

// may is the default policy of the built-in roles over traffic actions.
func may(role string, a authz.Action) bool {
	rank := map[authz.Action]int{
		authz.AppOpen:       1,
		authz.FlowView:      2,
		authz.FlowRun:       2,
		authz.FlowEdit:      3,
		authz.FlowPublish:   4,
		authz.BuilderCode:   4,
		authz.BuilderManage: 4,
	}
	return map[string]int{"viewer": 2, "editor": 3, "other-tenant": 3, "admin": 4}[role] >= rank[a]
}

// decide is the verdict of the route table alone about a row.
func decide(p *profile.Profile, r corpusRow) (allowed bool, why string) {
	target, query, _ := strings.Cut(r.Path, "?")
	path, err := profile.Canonical(target)
	if err != nil {
		return false, problem.Of(err).Rule
	}
	m, ok := p.Match(r.Method, path)
	if !ok {
		return false, "not in the table"
	}
	values, err := p.Query(query)
	if err != nil {
		return false, problem.Of(err).Rule
	}
	e := m.Endpoint
	if e.Blocked != "" {
		return false, "blocked"
	}
	var body map[string]json.RawMessage
	_ = json.Unmarshal(r.Body, &body) // a body that is not an object has no keys to judge
	for key, value := range body {
		for _, rule := range e.Body {
			if rule.Needs(key, value) && (rule.Action == "" || !may(r.As, rule.Action)) {
				return false, "body." + key
			}
		}
	}
	for _, ref := range slices.Concat(e.Flow, e.Objects) {
		var id string
		if ref.In == profile.InBody && json.Unmarshal(body[ref.Name], &id) == nil && !profile.PlainID(id) {
			return false, "id." + ref.Name
		}
	}
	switch {
	case e.Public == profile.PublicAlways:
		return true, e.Name
	case r.As == "anonymous" || r.As == "apikey":
		return e.Public == profile.PublicFlow && slices.ContainsFunc(e.Flow, func(ref profile.IDRef) bool {
			id := map[profile.In]string{
				profile.InPath:  m.Param(ref.Name),
				profile.InQuery: values.Get(ref.Name),
				profile.InBody:  strings.Trim(string(body[ref.Name]), `"`),
			}[ref.In]
			return id == flowA || r.As == "apikey" && id == flowB
		}), e.Name
	}
	return may(r.As, e.Action), e.Name
}

func TestCorpus_Table(t *testing.T) {
	p := mustProfile(t, "flowise", "queues")
	decided := 0
	for _, r := range readCorpus(t) {
		if strings.Contains(r.Path, "*") || r.Class == "benign" && r.Method == "OPTIONS" {
			continue // a placeholder for the runner; the proxy judges preflights
		}
		allowed, why := decide(p, r)
		switch {
		case r.Expect != "deny":
			decided++
			if !allowed {
				t.Errorf(
					"%s (%s) %s %.80s as %s: refused by %s, want it allowed",
					r.ID,
					r.Class,
					r.Method,
					r.Path,
					r.As,
					why,
				)
			}
		case slices.Contains(laterGuards, r.Class) || slices.Contains(laterRows, r.ID):
		default:
			decided++
			if allowed {
				t.Errorf(
					"%s (%s) %s %.80s as %s: allowed as %s, want it refused",
					r.ID,
					r.Class,
					r.Method,
					r.Path,
					r.As,
					why,
				)
			}
		}
	}
	t.Logf("%d rows decided", decided)
}
