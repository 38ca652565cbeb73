package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func asked(t *testing.T, method, path string, header map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, http.NoBody)
	for key, value := range header {
		r.Header.Set(key, value)
	}
	w := httptest.NewRecorder()
	ServeAsset(w, r)
	return w
}

func TestAssets_CachedByContent(t *testing.T) {
	to := AssetURL("sluice.css")
	if !regexp.MustCompile(`^/\.sluice/assets/sluice\.[0-9a-f]{16}\.css$`).MatchString(to) {
		t.Fatalf("the address is %q", to)
	}
	w := asked(t, "GET", to, nil)
	if w.Code != 200 || w.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" ||
		!strings.HasPrefix(w.Header().Get("Content-Type"), "text/css") {
		t.Errorf("answer %d %v", w.Code, w.Header())
	}
	if got := asked(t, "GET", to, map[string]string{"If-None-Match": w.Header().Get("ETag")}); got.Code != 304 ||
		got.Body.Len() != 0 {
		t.Errorf("revalidation gives %d with %d bytes", got.Code, got.Body.Len())
	}
	if got := asked(t, "GET", AssetPrefix+"sluice.css", nil); got.Header().Get("Cache-Control") != "no-cache" {
		t.Errorf("the name without a hash is cached: %v", got.Header())
	}
	zipped := asked(t, "GET", to, map[string]string{"Accept-Encoding": "br, gzip"})
	zr, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(zr)
	if err != nil || string(plain) != w.Body.String() {
		t.Errorf("the compressed form differs: %v", err)
	}
	if got := asked(t, "HEAD", to, nil); got.Code != 200 || got.Body.Len() != 0 {
		t.Errorf("HEAD gives %d with %d bytes", got.Code, got.Body.Len())
	}
}

func TestOtherAssetNames(t *testing.T) {
	for _, path := range []string{AssetPrefix, AssetPrefix + "none.css", AssetPrefix + "../assets.go",
		AssetPrefix + "sluice.0000000000000000.css"} {
		if got := asked(t, "GET", path, nil); got.Code != 404 || got.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s gives %d %v", path, got.Code, got.Header())
		}
	}
	if got := asked(t, "POST", AssetURL("sluice.js"), nil); got.Code != 404 {
		t.Errorf("POST gives %d", got.Code)
	}
}

func TestAssetsStaySmall(t *testing.T) {
	// The compressed size of everything that a first visit loads. htmx is only on the pages that
	// use it.
	for name, most := range map[string]int{"sluice.css": 12 << 10, "sluice.js": 2 << 10, "verify.js": 3 << 10,
		"htmx.min.js": 18 << 10, "logo.svg": 1 << 10} {
		if n := len(library()[name].gzipped); n > most {
			t.Errorf("%s has %d bytes compressed, want at most %d", name, n, most)
		}
	}
}

func TestAssets_StyleSheetLoadsNothing(t *testing.T) {
	css := string(library()["sluice.css"].plain)
	for _, bad := range []string{"@import", "http://", "https://", "//fonts"} {
		rest := strings.ReplaceAll(css, "https://tailwindcss.com", "")
		if strings.Contains(rest, bad) {
			t.Errorf("the style sheet holds %q", bad)
		}
	}
}

func TestAssets_MediaTypes(t *testing.T) {
	for name, a := range library() {
		if a.mime == "" {
			t.Errorf("%s has no media type: add its ending to mediaTypes", name)
		}
	}
}
