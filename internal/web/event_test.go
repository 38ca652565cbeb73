package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/web"
)

func logged(t *testing.T, e *web.Event, after time.Duration) map[string]any {
	t.Helper()
	var out bytes.Buffer
	e.Log(context.Background(), slog.New(slog.NewJSONHandler(&out, nil)), e.Start.Add(after))
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Fatalf("%d lines were written: %s", n, out.String())
	}
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	delete(line, "time")
	return line
}

func TestEvent_OneLine(t *testing.T) {
	r := httptest.NewRequest("GET", "/api/v1/chatflows?token=hunter2", nil)
	r.Header.Set("Cookie", "sluice_session=hunter2")
	e := web.NewEvent(r, "app", time.Unix(1000, 0))
	e.ID, e.Status, e.Bytes, e.App, e.Endpoint = "id1", 200, 12, "flowise", "chatflows.list"
	e.Person, e.Name, e.Peer = "u1", "ann", "192.0.2.1"
	got := logged(t, &e, 1500*time.Microsecond)
	want := map[string]any{
		"level":    "INFO",
		"msg":      "request",
		"id":       "id1",
		"front":    "app",
		"method":   "GET",
		"status":   200.0,
		"ms":       1.5,
		"bytes":    12.0,
		"app":      "flowise",
		"endpoint": "chatflows.list",
		"person":   "u1",
		"name":     "ann",
		"ip":       "192.0.2.1",
		"host":     "example.com",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestEvent_Failure(t *testing.T) {
	e := web.Event{Status: 502, Reason: "upstream", Cause: errors.New("connection refused")}
	got := logged(t, &e, 0)
	if got["level"] != "ERROR" || got["error"] != "connection refused" || got["reason"] != "upstream" {
		t.Errorf("line %v", got)
	}
}

func TestEvent_Bounded(t *testing.T) {
	e := web.Event{
		Status: 400,
		Path:   "/" + strings.Repeat("a", 9000),
		Method: strings.Repeat("M", 9000),
		Host:   strings.Repeat("h", 9000) + "\n",
	}
	var out bytes.Buffer
	e.Log(context.Background(), slog.New(slog.NewTextHandler(&out, nil)), e.Start)
	if out.Len() > 1500 || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("the line has %d bytes", out.Len())
	}
}

func TestRequestID_Unique(t *testing.T) {
	seen := map[string]bool{}
	for range 10000 {
		id := web.NewRequestID()
		if len(id) != 16 || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}
