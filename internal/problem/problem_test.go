package problem_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sluice/internal/problem"
)

func TestOf_UnknownError(t *testing.T) {
	secret := errors.New("dial postgres://sluice:hunter2@db")
	got := problem.Of(fmt.Errorf("loading: %w", secret))
	if got.Kind != problem.Internal {
		t.Fatalf("kind = %v, want internal", got.Kind)
	}
	if strings.Contains(got.Detail+got.Next, "hunter2") {
		t.Errorf("the shown text %q holds the cause", got.Detail)
	}
	if !errors.Is(got, secret) {
		t.Error("the cause is lost to the log")
	}
}

func TestOf_WrappedError(t *testing.T) {
	err := fmt.Errorf("saving: %w", problem.New(problem.Conflict, "taken").WithField("email"))
	if !problem.Is(err, problem.Conflict) || problem.Is(err, problem.Denied) {
		t.Error("Is does not see through the wrapping")
	}
	if got := problem.Of(err); got.Field != "email" || got.Detail != "taken" {
		t.Errorf("Of = %+v", got)
	}
}

func TestWith_Copy(t *testing.T) {
	base := problem.New(problem.Limited, "slow down")
	_ = base.WithRetryAfter(time.Minute).WithRule("r")
	if base.RetryAfter != 0 || base.Rule != "" {
		t.Error("With changed the original")
	}
}

func TestWriteJSON(t *testing.T) {
	w := httptest.NewRecorder()
	problem.WriteJSON(
		w,
		problem.New(problem.Limited, "Too fast.").WithRetryAfter(1500*time.Millisecond).WithNext("Wait."),
		"req-1",
	)
	if w.Code != 429 || w.Header().Get("Retry-After") != "2" || w.Header().Get("Content-Type") != problem.ContentType {
		t.Fatalf("answer %d %v", w.Code, w.Header())
	}
	var doc problem.Document
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	want := problem.Document{
		Type:     "/problems/limited",
		Title:    "Too many attempts",
		Status:   429,
		Detail:   "Too fast.",
		Instance: "req-1",
		Next:     "Wait.",
	}
	if doc != want {
		t.Errorf("document %+v, want %+v", doc, want)
	}
}

func TestKinds_TitleAndStatus(t *testing.T) {
	for k := problem.Internal; k <= problem.StepUp; k++ {
		if k.Status() < 400 || k.Title() == "" || k.String() == "" {
			t.Errorf("kind %d: status %d, title %q, name %q", k, k.Status(), k.Title(), k.String())
		}
	}
}

// TestStepUpChallenge holds the form of RFC 9470 section 3.
func TestStepUpChallenge(t *testing.T) {
	const open = `Bearer error="insufficient_user_authentication", error_description="More recent authentication is required"`
	for age, want := range map[time.Duration]string{0: open, 15 * time.Minute: open + `, max_age="900"`} {
		w := httptest.NewRecorder()
		problem.WriteJSON(w, problem.New(problem.StepUp, `Say "so".`).WithMaxAge(age), "")
		if got := w.Header().Get("WWW-Authenticate"); w.Code != 401 || got != want {
			t.Errorf("%v: %d %q, want %q", age, w.Code, got, want)
		}
	}
	w := httptest.NewRecorder()
	problem.WriteJSON(w, problem.New(problem.Unauthenticated, "Sign in."), "")
	if got := w.Header().Get("WWW-Authenticate"); got != "" {
		t.Errorf("a challenge for another kind: %q", got)
	}
}
