package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/web"
)

// pieces remembers each call of Write.
type pieces struct {
	mu  sync.Mutex
	got []string
}

func (p *pieces) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, string(b))
	return len(b), nil
}

func (p *pieces) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.got...)
}

func TestLog_Batch(t *testing.T) {
	var out pieces
	h := web.NewLogHandler(&out, true, slog.LevelInfo)
	for range 3 {
		e := web.Event{ID: "x", Status: 200}
		e.Log(context.Background(), slog.New(h), time.Now())
	}
	if n := len(out.all()); n > 1 {
		t.Errorf("%d writes for three lines", n)
	}
	h.Close()
	if all := strings.Join(out.all(), ""); strings.Count(all, "\n") != 3 {
		t.Errorf("the lines are %q", all)
	}
	h.Close()
}

func TestLog_WarningFlushes(t *testing.T) {
	var out pieces
	h := web.NewLogHandler(&out, false, slog.LevelInfo)
	log := slog.New(h).With("a", 1)
	log.Info("first")
	log.Warn("second")
	log.Debug("never")
	if all := strings.Join(out.all(), ""); !strings.Contains(all, "msg=first a=1\n") ||
		!strings.Contains(all, "msg=second") ||
		strings.Contains(all, "never") {
		t.Errorf("written: %q", all)
	}
}

func TestLog_FlushesSoon(t *testing.T) {
	r, w := io.Pipe()
	h := web.NewLogHandler(w, true, slog.LevelInfo)
	slog.New(h).Info("waiting")
	line := make([]byte, 512)
	n, err := r.Read(line)
	if err != nil || !strings.Contains(string(line[:n]), "waiting") {
		t.Errorf("%q, %v", line[:n], err)
	}
}

func TestLog_FastEqualsSlow(t *testing.T) {
	for _, asJSON := range []bool{true, false} {
		for name, e := range map[string]web.Event{
			"everything": {ID: "i", Front: "app", Method: "GET", Path: "/a b", Host: "h", Peer: "192.0.2.1", App: "f",
				Endpoint: "e", Person: "p", Name: "n", Session: "s", Flow: "fl",
				Status: 200, Bytes: 1 << 40, Reason: "r", Start: time.Unix(1, 0)},
			"nothing": {Status: 200},
			"hostile": {Status: 400, Method: "G\"E\\T", Path: "/\n\x00\x7f<>&\u2028é\xff", Host: "a=b c\td",
				Reason: `"`},
			"long":              {Status: 404, Path: strings.Repeat("é", 400)},
			"with a cause":      {Status: 502, Cause: errors.New("dial tcp: connection refused\nx")},
			"an equals sign":    {Status: 200, Name: "a=b"},
			"an empty-ish name": {Status: 200, Name: " "},
		} {
			now := e.Start.Add(1234567 * time.Nanosecond)
			var fast, slow strings.Builder
			h := web.NewLogHandler(&fast, asJSON, slog.LevelInfo)
			e.Log(context.Background(), slog.New(h), now)
			h.Close()
			var plain slog.Handler = slog.NewTextHandler(&slow, nil)
			if asJSON {
				plain = slog.NewJSONHandler(&slow, nil)
			}
			e.Log(context.Background(), slog.New(plain), now)
			if d := cmp.Diff(fields(t, slow.String(), asJSON), fields(t, fast.String(), asJSON)); d != "" {
				t.Errorf("%s, JSON %v: (-slog +fast)\n%s", name, asJSON, d)
			}
		}
	}
}

// fields is a line without its time.
func fields(t *testing.T, line string, asJSON bool) any {
	t.Helper()
	if !asJSON {
		_, rest, ok := strings.Cut(line, " level=")
		if !ok {
			t.Fatalf("line %q", line)
		}
		return rest
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	stamp, _ := m["time"].(string)
	if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil {
		t.Error(err)
	}
	delete(m, "time")
	return m
}

func BenchmarkEventLog(b *testing.B) {
	e := web.Event{
		ID:       "0123456789abcdef",
		Front:    "app",
		Method:   "GET",
		Path:     "/api/v1/chatflows",
		Host:     "flows.example.com",
		Peer:     "192.0.2.1",
		App:      "flowise",
		Endpoint: "chatflows.list",
		Person:   "01a1ff88-6f04-7f24-a989-22d012fd3160",
		Name:     "ann",
		Session:  "25d569d5-0a66-4372-9303-c2319b57efc8",
		Status:   200,
		Start:    time.Now(),
	}
	for name, h := range map[string]slog.Handler{
		"slog": slog.NewJSONHandler(io.Discard, nil), "batched": web.NewLogHandler(io.Discard, true, slog.LevelInfo),
	} {
		b.Run(name, func(b *testing.B) {
			log, now := slog.New(h), time.Now()
			b.ReportAllocs()
			for b.Loop() {
				e.Log(context.Background(), log, now)
			}
		})
	}
}
