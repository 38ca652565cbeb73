//go:build preview

package console

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"sluice/internal/problem"
	"sluice/internal/web"
)

// TestPreview serves every sample page for a quarter of an hour, to look at while working on the
// design:
//
//	SLUICE_PREVIEW=127.0.0.1:3980 go test -tags preview -run TestPreview ./internal/console
func TestPreview(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc(web.AssetPrefix, web.ServeAsset)
	pages := samples()
	index := "<!doctype html><title>Pages</title>"
	for name, page := range pages {
		index += "<p><a href=/" + name + ">" + name + "</a>"
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) {
			web.Policy{}.SetHeaders(w.Header(), false)
			if err := web.Render(w, r, http.StatusOK, page); err != nil {
				t.Error(err)
			}
		})
	}
	for _, name := range []string{"error-host", "error-down", "error-denied", "error-missing"} {
		index += "<p><a href=/" + name + ">" + name + "</a>"
		mux.HandleFunc("GET /"+name, previewError)
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(index)) })
	server := &http.Server{Addr: os.Getenv("SLUICE_PREVIEW"), Handler: mux}
	time.AfterFunc(9*time.Minute, func() { _ = server.Close() })
	t.Log(server.ListenAndServe())
}

func previewError(w http.ResponseWriter, r *http.Request) {
	switch kind := strings.TrimPrefix(r.URL.Path, "/error-"); kind {
	case "host":
		web.WriteUnknownHost(
			w,
			r,
			web.UnknownHost{
				Host:  "flows.example.org",
				Known: []string{"http://127.0.0.1:3000", "http://127.0.0.1:3101"},
			},
			"0195a0b1-77",
		)
	case "down":
		web.WriteBuilderDown(
			w,
			r,
			web.BuilderDown{App: "Flowise", Detail: "http://127.0.0.1:3001 refused the connection."},
			"0195a0b1-77",
		)
	case "denied":
		web.WriteProblemPage(
			w,
			r,
			problem.New(problem.Denied, "This needs the right “flow:edit”. You are a Viewer; the roles "+
				"User and Admin have it.").
				WithNext("Ask an admin to change your role.").WithRule(
				"role-viewer",
			),
			"0195a0b1-77",
		)
	default:
		web.WriteProblemPage(
			w,
			r,
			problem.New(
				problem.NotFound,
				"There is no page at this address.",
			).WithNext("Check the address, or go back."),
			"0195a0b1-77",
		)
	}
}
