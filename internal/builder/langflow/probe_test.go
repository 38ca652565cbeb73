package langflow

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/builder"
	"sluice/internal/problem"
)

// instance answers Probe's requests, as Langflow does.
type instance struct {
	pkg, version    string
	automatic       bool
	session         bool
	db              string
	versionStatus   int
	versionIsAPage  bool
	versionRedirect string
}

func (l instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	page := func() {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html><head><title>Langflow</title></head></html>"))
	}
	switch r.URL.Path {
	case "/api/v1/version":
		switch {
		case l.versionRedirect != "":
			http.Redirect(w, r, l.versionRedirect, http.StatusTemporaryRedirect)
		case l.versionIsAPage:
			page()
		case l.versionStatus != 0:
			sendJSON(w, l.versionStatus, map[string]any{"detail": "no"})
		case l.pkg == "":
			sendJSON(w, 200, map[string]any{"version": l.version})
		default:
			sendJSON(w, 200, map[string]any{"version": l.version, "main_version": l.version, "package": l.pkg})
		}
	case "/health_check":
		sendJSON(w, 200, map[string]any{"status": "ok", "chat": "ok", "db": l.db})
	case "/api/v1/session":
		if !l.session {
			page()
			return
		}
		sendJSON(w, 200, map[string]any{"authenticated": false})
	case "/api/v1/auto_login":
		if l.automatic {
			sendJSON(
				w,
				200,
				map[string]any{"access_token": "superuser-token", "refresh_token": nil, "token_type": "bearer"},
			)
			return
		}
		sendJSON(w, 403, map[string]any{"detail": map[string]any{"auto_login": false}})
	default:
		page()
	}
}

func TestProbeLangflow(t *testing.T) {
	cases := map[string]struct {
		is       instance
		version  string
		note     string // part of it; "" for no error
		supports string // part of one of the sentences
	}{
		"today's": {
			instance{pkg: "Langflow", version: "1.13.0", session: true, db: "ok"},
			"1.13.0",
			"",
			"can verify tokens",
		},
		"a year ago's": {
			instance{pkg: "Langflow Base", version: "0.6.8", db: "ok"},
			"1.6.8",
			"",
			"cannot verify tokens",
		},
		"its pages": {
			instance{pkg: "Langflow", version: "1.6.8", db: "ok"},
			"1.6.8",
			"",
			"pages read a cookie",
		},
		"a nightly": {
			instance{pkg: "Langflow Nightly", version: "1.13.0.dev35", session: true, db: "ok"},
			"1.13.0.dev35",
			"",
			"can verify tokens",
		},
		"base of today": {
			instance{pkg: "Langflow Base", version: "1.13.0", session: true, db: "ok"},
			"1.13.0",
			"",
			"can verify tokens",
		},
		"the next": {
			instance{pkg: "Langflow", version: "1.14.0", session: true, db: "ok"},
			"1.14.0",
			"newer than 1.13",
			"can verify tokens",
		},
		"an old one": {
			instance{pkg: "Langflow", version: "1.2.0", db: "ok"},
			"1.2.0",
			"older than 1.6",
			"cannot verify tokens",
		},
		"an automatic one": {
			instance{pkg: "Langflow", version: "1.9.2", session: true, automatic: true, db: "ok"},
			"1.9.2",
			"LANGFLOW_AUTO_LOGIN is on",
			"LANGFLOW_SECRET_KEY",
		},
		"automatic and newer": {
			instance{pkg: "Langflow", version: "1.20.1", session: true, automatic: true, db: "ok"},
			"1.20.1",
			"superuser",
			"passwords",
		},
	}
	for name, c := range cases {
		got, err := look(t.Context(), serve(t, c.is.ServeHTTP))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Kind != "langflow" || got.Title != "Langflow" || got.Version != c.version ||
			got.OwnerState != builder.OwnerPresent {
			t.Errorf("%s: %+v", name, got)
		}
		if (c.note == "") != (got.Note == "") || !strings.Contains(got.Note, c.note) {
			t.Errorf("%s: the note is %q", name, got.Note)
		}
		if all := strings.Join(got.Supports, "\n"); !strings.Contains(all, c.supports) {
			t.Errorf("%s: it supports %q", name, all)
		}
		if strings.Contains(got.Evidence+got.Note, "superuser-token") {
			t.Errorf("%s: the token is shown", name)
		}
	}
}

func TestProbe_UnusableLangflow(t *testing.T) {
	cases := map[string]struct {
		is   instance
		kind problem.Kind
		says string
	}{
		"version 0.6": {
			instance{pkg: "Langflow", version: "0.6.19", db: "ok"},
			problem.Invalid,
			"Langflow 1 only",
		},
		"one that is not named": {instance{version: "0.5.0", db: "ok"}, problem.Invalid, "Langflow 1 only"},
		"version 2": {
			instance{pkg: "Langflow", version: "2.0.0", db: "ok"},
			problem.Invalid,
			"Langflow 1 only",
		},
		"no number": {
			instance{pkg: "Langflow", version: "main", db: "ok"},
			problem.Invalid,
			"Langflow 1 only",
		},
		"a database that is down": {
			instance{pkg: "Langflow", version: "1.13.0", db: "error check the server logs"},
			problem.Upstream,
			"trouble with its database",
		},
		"one that is starting": {instance{versionStatus: 503}, problem.Upstream, "answers 503"},
		"pages only":           {instance{versionIsAPage: true}, problem.Upstream, "without JSON"},
		"a redirect": {
			instance{versionRedirect: "https://elsewhere.example/"},
			problem.Upstream,
			"without JSON",
		},
	}
	for name, c := range cases {
		got, err := look(t.Context(), serve(t, c.is.ServeHTTP))
		if p := problem.Of(err); err == nil || p.Kind != c.kind || !strings.Contains(p.Detail, c.says) || p.Next == "" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestProbe_OtherProducts(t *testing.T) {
	got, err := look(t.Context(), serve(t, func(w http.ResponseWriter, r *http.Request) {
		sendJSON(w, 200, map[string]any{"version": "1.13.0", "package": "Something"})
	}))
	if err != nil || got.Kind != "generic" {
		t.Errorf("%+v, %v", got, err)
	}
	if diff := cmp.Diff([]string(nil), got.Supports); diff != "" {
		t.Error(diff)
	}
}
