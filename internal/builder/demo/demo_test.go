package demo

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

func startDemo(t *testing.T, file string) *httptest.Server {
	t.Helper()
	h, err := NewServer(
		Config{File: file, Now: func() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }},
	)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

// call sends one request and returns the status, the final URL path and the body.
func call(t *testing.T, method, address, contentType, body string) (int, string, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	req.Header.Set(builder.HeaderName, "Zo%C3%AB")
	req.Header.Set(builder.HeaderUser, "u1")
	req.Header.Set(builder.HeaderRole, "user")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Request.URL.Path, string(data)
}

const formType = "application/x-www-form-urlencoded"

func TestDemo_Forms(t *testing.T) {
	srv := startDemo(t, "")
	status, path, body := call(
		t,
		"POST",
		srv.URL+"/new",
		formType,
		url.Values{"name": {"<b>Mine</b>"}, "reply": {"{person}: {question} ({words})"}}.Encode(),
	)
	if status != 200 || !strings.HasPrefix(path, "/flows/") || !strings.Contains(body, "&lt;b&gt;Mine&lt;/b&gt;") ||
		!strings.Contains(body, "Hello, Zoë") {
		t.Fatalf("create: %d at %s: %s", status, path, body)
	}
	if status, _, body := call(t, "POST", srv.URL+path, formType, "name=&reply=x"); status != 400 ||
		!strings.Contains(body, "Enter a name") {
		t.Errorf("an empty name: %d %s", status, body)
	}
	renamed := "name=Renamed&reply=" + url.QueryEscape("{person}: {question} ({words})")
	if _, _, body := call(t, "POST", srv.URL+path, formType, renamed); !strings.Contains(body, "Renamed") {
		t.Errorf("rename: %s", body)
	}
	run := srv.URL + "/api" + path + "/run"
	if _, _, body := call(t, "POST", run, formType, "question=how+are+you"); !strings.Contains(
		body,
		"Zoë: how are you (3)",
	) {
		t.Errorf("run without script: %s", body)
	}
	if status, path, body := call(t, "POST", srv.URL+path+"/delete", formType, ""); status != 200 || path != "/" ||
		strings.Contains(body, "Renamed") {
		t.Errorf("delete: %d at %s", status, path)
	}
	if status, _, body := call(t, "GET", srv.URL+path, "", ""); status != 404 ||
		!strings.Contains(body, "no such flow") {
		t.Errorf("after delete: %d %s", status, body)
	}
}

func TestDemo_APIAndStream(t *testing.T) {
	srv := startDemo(t, "")
	status, _, body := call(
		t,
		"POST",
		srv.URL+"/api/flows",
		"application/json",
		`{"name":"n","reply":"one two {question}"}`,
	)
	var f demoFlow
	if err := json.Unmarshal([]byte(body), &f); err != nil || status != 201 || !profile.IsUUID(f.ID) || f.By != "Zoë" {
		t.Fatalf("create: %d %s", status, body)
	}
	status, _, body = call(
		t,
		"POST",
		srv.URL+"/api/flows/"+f.ID+"/run",
		"application/json",
		`{"question":"three\nfour"}`,
	)
	var events []string
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		if lines.Text() != "" {
			events = append(events, lines.Text())
		}
	}
	want := []string{
		"event: token",
		`data: "one "`,
		"event: token",
		`data: "two "`,
		"event: token",
		`data: "three\nfour"`,
		"event: end",
		`data: ""`,
	}
	if diff := cmp.Diff(want, events); diff != "" || status != 200 {
		t.Errorf("stream: %d %s", status, diff)
	}
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/api/flows", "", 200},
		{"GET", "/api/flows/" + f.ID, "", 200},
		{"PUT", "/api/flows/" + f.ID, `{"name":"m","reply":"r"}`, 200},
		{"PUT", "/api/flows/" + "11111111-1111-4111-8111-111111111111", `{"name":"m","reply":"r"}`, 404},
		{"POST", "/api/flows", `{"name":"","reply":"r"}`, 400},
		{"POST", "/api/flows", `nonsense`, 400},
		{"POST", "/api/flows", `{"name":"n","reply":"` + strings.Repeat("x", 70<<10) + `"}`, 413},
		{"POST", "/api/flows/" + "11111111-1111-4111-8111-111111111111" + "/run", `{"question":"x"}`, 404},
		{"DELETE", "/api/flows/" + f.ID, "", 204},
		{"DELETE", "/api/flows/" + f.ID, "", 404},
		{"GET", "/assets/../demo.go", "", 404},
		{"GET", "/assets/list.html", "", 404},
	} {
		if got, _, body := call(t, c.method, srv.URL+c.path, "application/json", c.body); got != c.want {
			t.Errorf("%s %s: %d, want %d: %.200s", c.method, c.path, got, c.want, body)
		}
	}
}

func TestDemo_KeepsFlows(t *testing.T) {
	file := filepath.Join(t.TempDir(), "demo.json")
	first := startDemo(t, file)
	_, _, created := call(t, "POST", first.URL+"/api/flows", "application/json", `{"name":"kept","reply":"r"}`)
	_, _, before := call(t, "GET", first.URL+"/api/flows", "", "")
	_, _, after := call(t, "GET", startDemo(t, file).URL+"/api/flows", "", "")
	if before != after || !strings.Contains(after, `"kept"`) || !strings.Contains(after, `"Echo"`) {
		t.Errorf("before the restart %s, after it %s (created %s)", before, after, created)
	}
	if err := os.WriteFile(file, []byte("{broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewServer(Config{File: file, Now: time.Now}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a broken file: %v", err)
	}
}

func TestDemo_SaveFails(t *testing.T) {
	dir := t.TempDir()
	srv := startDemo(t, filepath.Join(dir, "demo.json"))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	const flow = `{"name":"n","reply":"r"}`
	if status, _, _ := call(t, "POST", srv.URL+"/api/flows", "application/json", flow); status != 500 {
		t.Errorf("the status for a flow that could not be saved is %d", status)
	}
	if _, _, body := call(t, "GET", srv.URL+"/api/flows", "", ""); strings.Count(body, `"id"`) != 1 {
		t.Errorf("flows: %s", body)
	}
}

func TestDemo_Bounds(t *testing.T) {
	s, err := openDemoStore("", time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < maxDemoFlows; i++ {
		if _, err := s.put(demoFlow{Name: "n", Reply: "r"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.put(demoFlow{Name: "n", Reply: "r"}); !problem.Is(err, problem.Conflict) {
		t.Errorf("one flow too many: %v", err)
	}
	f := demoFlow{Reply: "{question}"}
	if got := f.answer(strings.Repeat("ä", maxDemoText+1), "", time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)); len(
		[]rune(got),
	) != maxDemoText {
		t.Errorf("an answer of %d characters", len([]rune(got)))
	}
}

var inline = regexp.MustCompile(`(?i)<script(?:[^>]*)>[^<]|<style|\sstyle=|\son[a-z]+=|javascript:|https?://`)

func TestDemo_NothingInline(t *testing.T) {
	srv := startDemo(t, "")
	_, _, list := call(t, "GET", srv.URL+"/api/flows", "", "")
	var flows []demoFlow
	if err := json.Unmarshal([]byte(list), &flows); err != nil || len(flows) != 1 {
		t.Fatalf("flows %s", list)
	}
	p := mustProfile(t, "demo")
	for _, path := range []string{
		"/",
		"/new",
		"/flows/" + flows[0].ID,
		"/chat/" + flows[0].ID,
		"/flows/11111111-1111-4111-8111-111111111111",
	} {
		status, _, body := call(t, "GET", srv.URL+path, "", "")
		if found := inline.FindString(body); found != "" || !strings.Contains(body, "</html>") {
			t.Errorf("%s (%d) holds %q", path, status, found)
		}
		for _, link := range regexp.MustCompile(`(?:href|src|action)="([^"#]+)"`).FindAllStringSubmatch(body, -1) {
			_, gets := p.Match("GET", link[1])
			_, posts := p.Match("POST", link[1])
			if !gets && !posts {
				t.Errorf("%s leads to %s, which the demo's route table does not have", path, link[1])
			}
		}
	}
}

func TestProbe_Demo(t *testing.T) {
	u, err := url.Parse(startDemo(t, "").URL)
	if err != nil {
		t.Fatal(err)
	}
	got, err := look(t.Context(), u)
	if err != nil || got.Kind != "demo" || got.Version != demoVersion || got.OwnerState != builder.OwnerNotApplicable {
		t.Errorf("Probe = %+v, %v", got, err)
	}
}
