package proxy_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"sluice/internal/identity"
	"sluice/internal/proxy"
)

// The witness records the data plane's handling of every request of this package's tests and of the
// attack corpus: the decision in the event, the requests to the builder, the answer to the client,
// and the owner of each object at the end. The record is compared with
// testdata/witness/record.jsonl.gz, so that work on the steps shows every change of behavior. After
// an intended change, `go test ./internal/proxy -update` writes it again.

const witnessFile = "testdata/witness/record.jsonl.gz"

var updateWitness = flag.Bool("update", false, "write what the data plane did to "+witnessFile)

// record is what all tests together have seen, and the committed one.
var record = struct {
	sync.Mutex
	want   map[string][]string
	got    map[string][]string
	worlds map[string]int
}{got: map[string][]string{}, worlds: map[string]int{}}

func TestMain(m *testing.M) {
	flag.Parse()
	var err error
	if record.want, err = readRecord(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	whole := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == ""
	switch {
	case *updateWitness:
		if err := writeRecord(whole); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	case whole && !testing.Short() && code == 0 && len(record.got) > 0:
		for name := range record.want {
			if record.got[name] == nil {
				fmt.Fprintf(
					os.Stderr,
					"%s knows %s, which has not run: write it anew with -update\n",
					witnessFile,
					name,
				)
				code = 1
			}
		}
	}
	os.Exit(code)
}

func readRecord() (map[string][]string, error) {
	all := map[string][]string{}
	file, err := os.Open(witnessFile)
	if os.IsNotExist(err) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	plain, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", witnessFile, err)
	}
	lines := bufio.NewScanner(plain)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Test string          `json:"test"`
			Seen json.RawMessage `json:"seen"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("%s: %w", witnessFile, err)
		}
		all[line.Test] = append(all[line.Test], string(line.Seen))
	}
	return all, lines.Err()
}

func writeRecord(whole bool) error {
	all := record.got
	if !whole {
		all = maps.Clone(record.want)
		maps.Copy(all, record.got)
	}
	var packed bytes.Buffer
	out, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	for _, test := range slices.Sorted(maps.Keys(all)) {
		for _, seen := range all[test] {
			if _, err := fmt.Fprintf(out, "{\"test\":%q,\"seen\":%s}\n", test, seen); err != nil {
				return err
			}
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	if err := os.MkdirAll("testdata/witness", 0o755); err != nil {
		return err
	}
	return os.WriteFile(witnessFile, packed.Bytes(), 0o644)
}

// sighting is one request and what became of it.
type sighting struct {
	// Row is the corpus row that the request belongs to.
	Row string `json:"row,omitempty"`
	// Request is the method and target on the wire, Asked a request of Sluice itself to a builder,
	// Owned an object with its owner at the end of the test.
	Request string `json:"request,omitempty"`
	Asked   string `json:"asked,omitempty"`
	Owned   string `json:"owned,omitempty"`
	// Event is the line in the log.
	Event map[string]string `json:"event,omitempty"`
	// Sent are the requests that went to the builder.
	Sent []message `json:"sent,omitempty"`
	// Answer is what the client got.
	Answer *message `json:"answer,omitempty"`
}

// message is one request or answer with its volatile parts replaced.
type message struct {
	Line   string            `json:"line"`
	Header map[string]string `json:"header,omitempty"`
	Body   string            `json:"body,omitempty"`
}

// witness records what one world does.
type witness struct {
	w    *world
	name string
	row  string // the corpus row that is sent at the moment

	mu      sync.Mutex
	before  map[string]bool // what the map of objects held at the beginning
	seen    []*watched
	wires   []*bytes.Buffer // what went to the builders, one for each connection
	tapped  map[any]bool
	running sync.WaitGroup
}

// watched is a sighting while it lasts.
type watched struct {
	sighting
	mu     sync.Mutex
	id     string
	status int
	header http.Header
	body   bytes.Buffer
}

type watchedKey struct{}

// witnessed puts the witness around a world's front. Benchmarks and fuzz tests have none.
func witnessed(w *world, c *proxy.Config) func(http.Handler) http.Handler {
	t, ok := w.t.(*testing.T)
	if !ok || strings.HasPrefix(t.Name(), "Fuzz") {
		return func(h http.Handler) http.Handler { return h }
	}
	record.Lock()
	record.worlds[t.Name()]++
	name := t.Name()
	if n := record.worlds[name]; n > 1 {
		name = fmt.Sprintf("%s (world %d)", name, n)
	}
	record.Unlock()
	s := &witness{w: w, name: name, tapped: map[any]bool{}}
	w.witness, s.before = s, s.owned()
	c.Log = slog.New(witnessLog{c.Log.Handler()})
	t.Cleanup(func() { s.testify(t) })
	return s.watch
}

// watch is the front with the witness around it.
func (s *witness) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &watched{}
		s.mu.Lock()
		s.w.proxy.Tap(s.tapped, s.wire)
		seen.Row, seen.Request = s.row, r.Method+" "+r.RequestURI
		s.seen = append(s.seen, seen)
		s.mu.Unlock()
		s.running.Add(1)
		defer s.running.Done()
		next.ServeHTTP(&watchedWriter{w, seen}, r.WithContext(context.WithValue(r.Context(), watchedKey{}, seen)))
	})
}

// wire returns where a connection to a builder writes what it sends.
func (s *witness) wire() io.Writer {
	s.mu.Lock()
	defer s.mu.Unlock()
	buf := &bytes.Buffer{}
	s.wires = append(s.wires, buf)
	return lockedWriter{&s.mu, buf}
}

type lockedWriter struct {
	mu  *sync.Mutex
	buf *bytes.Buffer
}

func (l lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// watchedWriter copies an answer.
type watchedWriter struct {
	http.ResponseWriter
	seen *watched
}

// Unwrap is for http.ResponseController.
func (w *watchedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader copies status and headers.
func (w *watchedWriter) WriteHeader(status int) {
	w.seen.mu.Lock()
	if w.seen.status == 0 {
		w.seen.status, w.seen.header = status, w.Header().Clone()
	}
	w.seen.mu.Unlock()
	w.ResponseWriter.WriteHeader(status)
}

// Write copies the body.
func (w *watchedWriter) Write(b []byte) (int, error) {
	w.seen.mu.Lock()
	if w.seen.status == 0 {
		w.seen.status, w.seen.header = http.StatusOK, w.Header().Clone()
	}
	w.seen.body.Write(b)
	w.seen.mu.Unlock()
	return w.ResponseWriter.Write(b)
}

// witnessLog reads the events of requests.
type witnessLog struct{ slog.Handler }

// Handle keeps the event of a request that is watched.
func (l witnessLog) Handle(ctx context.Context, r slog.Record) error {
	if seen, ok := ctx.Value(watchedKey{}).(*watched); ok && r.Message == "request" {
		seen.mu.Lock()
		seen.Event = map[string]string{}
		r.Attrs(func(a slog.Attr) bool {
			switch a.Key {
			case "id":
				seen.id = a.Value.String()
			case "ms", "bytes", "session", "key_prefix", "ip", "error", "method":
			default:
				if v := a.Value.String(); v != usualEvent[a.Key] {
					seen.Event[a.Key] = v
				}
			}
			return true
		})
		seen.mu.Unlock()
	}
	return l.Handler.Handle(ctx, r)
}

// The record leaves out values that most events, requests and answers share. A missing header of
// these is "(none)".
var (
	usualEvent = map[string]string{"app": "flowise", "front": "app", "host": appHost}
	usualSent  = map[string]string{
		"X-Forwarded-For":   "127.0.0.1",
		"X-Forwarded-Proto": "https",
		"X-Forwarded-Host":  appHost,
		"X-Request-Id":      "<id>",
	}
	usualAnswer = map[string]string{"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
)

// testify compares the record of a world with the committed one.
func (s *witness) testify(t *testing.T) {
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("a request has not ended 10 s after the test")
		return
	}
	if test, _, _ := strings.Cut(t.Name(), "/"); unsteady[test] {
		return
	}
	got := s.lines()
	record.Lock()
	defer record.Unlock()
	record.got[s.name] = got
	want, known := record.want[s.name]
	if *updateWitness || t.Failed() || t.Skipped() || !known {
		return // a test that the record does not know yet: the next -update adds it
	}
	if why := unlike(want, got); why != "" {
		t.Errorf(
			"the data plane behaves otherwise than %s says; run with -update if that is meant:\n%s",
			witnessFile,
			why,
		)
	}
}

// unsteady are tests whose requests race with something that the test stops, or each other: which
// of several allowed things happens differs from run to run. The tests themselves judge the
// outcome.
var unsteady = map[string]bool{
	"TestBody_ExpectContinue":        true, // whether the client leaves after 100 Continue
	"TestBridge_RenewOnce":           true, // who renews, and who waits
	"TestBridge_BuilderDown":         true, // whether a connection was still idle
	"TestRelay_EarlyAnswer":          true, // how much of the body was sent
	"TestSmuggling_AfterRefusedBody": true, // whether the client is still there
}

// inOrder ranges over a map in the order of its keys, for requests that see what others before them
// did.
func inOrder[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if !yield(name, m[name]) {
				return
			}
		}
	}
}

// unlike lists what is in one record and not in the other.
func unlike(want, got []string) string {
	count := map[string]int{}
	for _, line := range want {
		count[line]++
	}
	var why []string
	left := map[string]int{} // requests whose client had not waited for the answer this time
	for _, line := range got {
		if count[line]--; count[line] >= 0 {
			continue
		}
		if strings.Contains(line, `"reason":"client gone"`) {
			left[requestOf(line)]++
			continue
		}
		why = append(why, "+ "+line)
	}
	for _, line := range want {
		if count[line] <= 0 {
			continue
		}
		count[line]--
		if left[requestOf(line)]--; left[requestOf(line)] < 0 {
			why = append(why, "- "+line)
		}
	}
	if len(why) > 20 {
		why = append(why[:20], fmt.Sprintf("and %d more", len(why)-20))
	}
	return strings.Join(why, "\n")
}

// requestOf is the beginning of a line, up to the request.
func requestOf(line string) string {
	before, _, _ := strings.Cut(line, `,"event":`)
	return before
}

// lines is the record in a stable order.
func (s *witness) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	plain := s.plain()
	all, byID := []sighting{}, map[string]int{}
	for _, seen := range s.seen {
		seen.mu.Lock()
		seen.Request = plain(seen.Request)
		for k, v := range seen.Event {
			seen.Event[k] = plain(v)
		}
		if path, _, _ := strings.Cut(seen.Request, "?"); strings.HasSuffix(path, " "+seen.Event["path"]) {
			delete(seen.Event, "path")
		}
		if seen.Event["status"] == fmt.Sprint(seen.status) {
			delete(seen.Event, "status")
		}
		if seen.status != 0 {
			seen.Answer = &message{
				Line:   fmt.Sprint(seen.status),
				Header: headerOf(seen.header, usualAnswer, plain),
				Body:   bodyOf(seen.body.Bytes(), plain),
			}
		}
		byID[seen.id] = len(all)
		all = append(all, seen.sighting)
		seen.mu.Unlock()
	}
	for _, wire := range s.wires {
		in := bufio.NewReader(bytes.NewReader(wire.Bytes()))
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				break // the end, or what follows an upgrade
			}
			body, _ := io.ReadAll(r.Body)
			m := message{
				Line:   plain(r.Method + " " + r.RequestURI),
				Header: headerOf(r.Header, usualSent, plain),
				Body:   bodyOf(body, plain),
			}
			if i, ok := byID[r.Header.Get("X-Request-Id")]; ok && r.Header.Get("X-Request-Id") != "" {
				all[i].Sent = append(all[i].Sent, m)
				continue
			}
			all = append(all, sighting{Asked: m.Line, Sent: []message{m}})
		}
	}
	for owned := range s.owned() {
		if !s.before[owned] {
			all = append(all, sighting{Owned: plain(owned)})
		}
	}
	lines := make([]string, 0, len(all))
	for _, seen := range all {
		var line bytes.Buffer
		out := json.NewEncoder(&line)
		out.SetEscapeHTML(false)
		if err := out.Encode(seen); err != nil {
			s.w.t.Error(err)
		}
		lines = append(lines, strings.TrimSuffix(line.String(), "\n"))
	}
	slices.Sort(lines)
	return lines
}

// owned is the map of objects as it stands.
func (s *witness) owned() map[string]bool {
	set := map[string]bool{}
	for _, a := range s.w.apps.All() {
		objects, err := s.w.apps.Flows.OfApp(context.Background(), systemPrincipal, a.ID)
		if err != nil {
			s.w.t.Error(err)
		}
		for _, o := range objects {
			set[fmt.Sprintf("%s %s %q in %s, account %q, of %q", o.Kind, o.ID, o.Name, o.Workspace, o.Account,
				o.Owner)] = true
		}
	}
	return set
}

var (
	anyUUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	anyJWT  = regexp.MustCompile(`eyJ[\w-]+\.([\w-]+)\.[\w-]+`)
	anyPort = regexp.MustCompile(`(127\.0\.0\.1|\[::1\])(:|%3A)\d+`)
	anyTime = regexp.MustCompile(`\d{4}-\d\d-\d\d(T| at )\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:\d\d)?` +
		`|\d{4}-\d\d-\d\d|;t=\d+|\d{1,2}[ -](Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*[ -]\d{2,4}|\d\d:\d\d UTC`)
	anyToken = regexp.MustCompile(`\b(sluice_\w+)=[^;&\s"]+|\bsluice_[A-Za-z0-9]{5,}` +
		`|\b(state|code)=[\w-]{20,}|\b(sl_[a-z]*)[A-Za-z0-9_-]{16,}`)
	anyID = regexp.MustCompile(`\b([0-9a-f]{16}|[0-9A-F]{32})\b`)
)

// plain returns what replaces all that differs from run to run.
func (s *witness) plain() func(string) string {
	known := map[string]string{identity.DefaultWorkspace: "<default workspace>"}
	for role, id := range s.w.ids {
		known[id] = "<" + role + ">"
	}
	if s.w.other != "" {
		known[s.w.other] = "<other workspace>"
	}
	for _, a := range s.w.apps.All() {
		known[a.ID] = "<app " + a.Slug + ">"
	}
	if b, ok := s.w.builder.(interface{ accountNames() map[string]string }); ok {
		maps.Copy(known, b.accountNames())
	}
	uuid := func(id string) string {
		switch name := known[id]; {
		case name != "":
			return name
		case strings.Count(id[:8], id[:1]) == 8, strings.HasSuffix(id, "-000000000001"):
			return id // of a fixture
		}
		return "<uuid>"
	}
	return func(text string) string {
		text = anyJWT.ReplaceAllStringFunc(text, func(token string) string {
			var claims struct{ Sub string }
			payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
			if err != nil || json.Unmarshal(payload, &claims) != nil {
				return "<token>"
			}
			return "<token of " + claims.Sub + ">"
		})
		text = anyUUID.ReplaceAllStringFunc(text, uuid)
		text = byUUID.ReplaceAllStringFunc(text, sortMembers)
		for id, name := range known {
			if !anyUUID.MatchString(id) && len(id) > 8 {
				text = strings.ReplaceAll(text, id, name)
			}
		}
		text = anyToken.ReplaceAllString(text, "$1$2$3=<secret>")
		text = anyPort.ReplaceAllString(text, "$1:<port>")
		text = anyTime.ReplaceAllString(text, "<time>")
		return anyID.ReplaceAllString(text, "<id>")
	}
}

// byUUID are members of an object by ids that differ from run to run, and with them their order.
var byUUID = regexp.MustCompile(`"<uuid>":\[[^][]*\](?:,"<uuid>":\[[^][]*\])+`)

func sortMembers(members string) string {
	const key = `"<uuid>":`
	values := strings.Split(strings.TrimPrefix(members, key), ","+key)
	slices.Sort(values)
	return key + strings.Join(values, ","+key)
}

func headerOf(h http.Header, usual map[string]string, plain func(string) string) map[string]string {
	out := map[string]string{}
	for name := range usual {
		if h[name] == nil {
			out[name] = "(none)"
		}
	}
	for name, values := range h {
		switch name {
		case "Date", "Content-Length", "Retry-After":
		default:
			switch text := plain(strings.Join(values, "\n")); {
			case text == usual[name]:
			case len(text) > 200:
				out[name] = summary([]byte(text))
			default:
				out[name] = text
			}
		}
	}
	return out
}

func bodyOf(b []byte, plain func(string) string) string {
	text := plain(string(b))
	if len(text) > 600 || strings.ContainsRune(text, 0) || strings.ContainsRune(text, utf8.RuneError) {
		return summary([]byte(text))
	}
	return text
}

func summary(b []byte) string { return fmt.Sprintf("%d bytes %x", len(b), sha256.Sum256(b))[:40] }
