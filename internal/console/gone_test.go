package console

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestGone_ClientLeaves(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("ann", "viewer")
	ctx, leave := context.WithCancel(context.Background())
	leave()
	r := httptest.NewRequestWithContext(ctx, "POST", "/login", strings.NewReader("identifier=ann&password=wrong"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	s.handler.ServeHTTP(httptest.NewRecorder(), r)
	if line := s.log.String(); !strings.Contains(line, "status=499") || strings.Contains(line, "level=ERROR") {
		t.Errorf("the log says: %s", line)
	}
}
