package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

// AssetPrefix is the path of the style sheet, scripts and logo, on Sluice's own origin and on every
// app's.
const AssetPrefix = "/.sluice/assets/"

//go:embed assets/dist
var assetFiles embed.FS

type asset struct {
	url, mime, etag string
	plain, gzipped  []byte
}

// mediaTypes are the media types of the assets by the end of their names. The table of the package
// mime depends on the machine.
var mediaTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// library maps both the plain and the hashed name of every asset to it. It is built once from the
// embedded files.
var library = sync.OnceValue(func() map[string]*asset {
	entries, err := assetFiles.ReadDir("assets/dist")
	if err != nil {
		panic("web: the embedded assets are missing: " + err.Error())
	}
	all := make(map[string]*asset, 2*len(entries))
	// A writer takes about a megabyte, so one serves all.
	zip, _ := gzip.NewWriterLevel(nil, gzip.BestCompression)
	for _, e := range entries {
		body, err := assetFiles.ReadFile("assets/dist/" + e.Name())
		if err != nil {
			panic("web: an embedded asset cannot be read: " + err.Error())
		}
		a, hashed := newAsset(zip, e.Name(), body)
		all[e.Name()], all[hashed] = a, a
	}
	return all
})

func newAsset(zip *gzip.Writer, name string, body []byte) (a *asset, hashed string) {
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:8])
	ext := path.Ext(name)
	hashed = strings.TrimSuffix(name, ext) + "." + hash + ext
	var zipped bytes.Buffer
	zip.Reset(&zipped)
	_, _ = zip.Write(body)
	_ = zip.Close()
	return &asset{
		url:     AssetPrefix + hashed,
		mime:    mediaTypes[ext],
		etag:    `"` + hash + `"`,
		plain:   body,
		gzipped: zipped.Bytes(),
	}, hashed
}

// AssetURL returns the path of an asset under a name that changes with its content. An unknown name
// is a mistake in a template, and panics.
func AssetURL(name string) string {
	a, ok := library()[name]
	if !ok {
		panic("web: no asset is called " + strconv.Quote(name))
	}
	return a.url
}

// IsAsset reports whether a request's path is below AssetPrefix.
func IsAsset(urlPath string) bool { return strings.HasPrefix(urlPath, AssetPrefix) }

// ServeAsset answers a request below AssetPrefix. It needs no sign-in: the files are the same in
// every installation.
func ServeAsset(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	name := strings.TrimPrefix(r.URL.Path, AssetPrefix)
	a, ok := library()[name]
	if !ok || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
		h.Set("Cache-Control", "no-store")
		http.Error(w, "no such asset", http.StatusNotFound)
		return
	}
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	h.Set("Content-Type", a.mime)
	h.Set("ETag", a.etag)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", cacheFor(a, name))
	if r.Header.Get("If-None-Match") == a.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	a.write(w, r)
}

func cacheFor(a *asset, name string) string {
	if AssetPrefix+name == a.url {
		return "public, max-age=31536000, immutable"
	}
	return "no-cache"
}

func (a *asset) write(w http.ResponseWriter, r *http.Request) {
	body := a.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		body = a.gzipped
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}
