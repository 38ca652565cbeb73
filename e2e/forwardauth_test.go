//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"html"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// frontProxy is a real reverse proxy with the configuration that Sluice's page shows.
type frontProxy struct {
	name  string
	https bool
	// command writes its configuration into a folder and says how it is started. Text is the
	// page's, port where it is to listen.
	command func(t testing.TB, dir, text string, port int) *exec.Cmd
}

var frontProxies = []frontProxy{
	{"nginx", true, nginxCommand},
	{"Caddy", false, caddyCommand},
	{"Traefik", false, traefikCommand},
}

// installProxy gives the path of a reverse proxy's program.
func installProxy(t testing.TB, name string) string {
	t.Helper()
	cmd := exec.Command("./install-proxies.sh", strings.ToLower(name))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("e2e/install-proxies.sh %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

// worthBuilding reports whether a program that takes long to build already exists, or is required.
func worthBuilding(t testing.TB, name string) bool {
	t.Helper()
	if os.Getenv("SLUICEDEV_"+strings.ToUpper(name)) == "require" {
		return true
	}
	cache := os.Getenv("SLUICEDEV_CACHE")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(home, ".cache", "sluice")
	}
	built, err := filepath.Glob(filepath.Join(cache, "bin", name+"-v*[0-9]"))
	return err == nil && len(built) > 0
}

func writeFile(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func nginxCommand(t testing.TB, dir, text string, port int) *exec.Cmd {
	text = strings.ReplaceAll(text, "/etc/ssl/"+appName, dir+"/cert")
	text = strings.ReplaceAll(text, fmt.Sprintf("listen %d", port), fmt.Sprintf("listen 127.0.0.1:%d", port))
	writeFile(t, dir+"/app.conf", text)
	temp := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += fmt.Sprintf("%s_temp_path %s/%s;\n", kind, dir, kind)
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;\n"
	}
	main := writeFile(
		t,
		dir+"/nginx.conf",
		user+"daemon off;\nworker_processes 1;\npid "+dir+"/pid;\nerror_log stderr warn;\nevents {}\nhttp "+
			"{\naccess_log off;\n"+temp+"include "+dir+"/app.conf;\n}\n",
	)
	return exec.Command(installProxy(t, "nginx"), "-p", dir, "-c", main)
}

func caddyCommand(t testing.TB, dir, text string, _ int) *exec.Cmd {
	site := strings.Index(text, "\nhttp://")
	at := site + strings.Index(text[site:], "{\n") + 2
	text = "{\n\tadmin off\n}\n" + text[:at] + "\tbind 127.0.0.1\n" + text[at:]
	cmd := exec.Command(
		installProxy(t, "caddy"),
		"run",
		"--adapter",
		"caddyfile",
		"--config",
		writeFile(t, dir+"/Caddyfile", text),
	)
	cmd.Env = []string{"HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_DATA_HOME=" + dir}
	return cmd
}

func traefikCommand(t testing.TB, dir, text string, port int) *exec.Cmd {
	return exec.Command(
		installProxy(t, "traefik"),
		fmt.Sprintf("--entryPoints.web.address=127.0.0.1:%d", port),
		"--providers.file.filename="+writeFile(t, dir+"/app.yml", text),
		"--global.checkNewVersion=false",
		"--global.sendAnonymousUsage=false",
		"--log.level=INFO",
	)
}

// The host names; every connection goes to the loopback address.
const (
	gateName = "gate.localhost"
	appName  = "flows.localhost"
)

// aside is one reverse proxy with its app and Sluice, through the life of a scenario.
type aside struct {
	proxy    frontProxy
	s        *Sluice
	b        *backend
	gate     *counter // between the reverse proxy and Sluice
	main     string   // Sluice's own origin
	app      string   // the app's
	port     int
	id, text string
	roots    *x509.CertPool
	dir      string
	admin    *Client
	user     *Client // at the app's origin
	viewer   *Client
}

var (
	userAccount = Account{Username: "uma", Email: "uma@example.com", Password: "a third sentence of five words"}
	secondFront = strings.NewReplacer(
		"underscores_in_headers off;",
		"underscores_in_headers on;",
		"ignore_invalid_headers on;",
		"ignore_invalid_headers off;",
	)
)

// TestForwardAuth is the life of an app behind each reverse proxy, in order; a step that fails ends
// it.
func TestForwardAuth(t *testing.T) {
	for _, p := range frontProxies {
		t.Run(p.name, func(t *testing.T) {
			longSuite(t, 15*time.Minute)
			if p.name == "Traefik" && !worthBuilding(t, "traefik") {
				t.Skip(
					"building Traefik takes a quarter of an hour: e2e/install-proxies.sh traefik does it once, " +
						"SLUICEDEV_TRAEFIK=require does it here",
				)
			}
			w := &aside{proxy: p, b: startBackend(t), port: freePort(t), dir: t.TempDir(), roots: x509.NewCertPool()}
			w.start(t)
			for _, step := range []struct {
				name string
				run  func(*testing.T)
			}{
				{"the page waits for the first request", w.connect},
				{"strangers get no further", w.strangers},
				{"signing in leads to the app", w.signIn},
				{"the page has turned green", w.green},
				{"the app knows who asks, and can check it", w.identity},
				{"nobody can pretend to be somebody", w.spoof},
				{"roles count", w.roles},
				{"what could be read in two ways goes nowhere", w.oddities},
				{"the app's own errors are its own", w.ownErrors},
				{"streams come event by event", w.stream},
				{"WebSockets work, from the app's own pages", w.webSocket},
				{"uploads go through as they arrive", w.upload},
				{"connections are kept", w.keepAlive},
				{"without Sluice the app is closed", w.down},
				{"signing out ends it", w.signOut},
			} {
				if !t.Run(step.name, func(t *testing.T) {
					defer w.as(t)()
					step.run(t)
				}) {
					t.FailNow()
				}
			}
		})
	}
}

// as lets all clients report to t, and gives what undoes it.
func (w *aside) as(t *testing.T) func() {
	outer := w.admin.t
	set := func(t testing.TB) {
		for _, c := range []*Client{w.admin, w.user, w.viewer} {
			if c != nil {
				c.t = t
			}
		}
	}
	set(t)
	return func() { set(outer) }
}

// start runs Sluice, and what counts the connections to it.
func (w *aside) start(t *testing.T) {
	port := freePort(t)
	w.main, w.app = fmt.Sprintf("http://%s:%d", gateName, port), fmt.Sprintf("http://%s:%d", appName, w.port)
	if w.proxy.https {
		w.app = fmt.Sprintf("https://%s:%d", appName, w.port)
		w.certificate(t)
	}
	env := writeFile(t, filepath.Join(w.dir, "sluice.env"), "TRUST_PROXY=loopback\nAPP_URL="+w.main+"\n")
	w.s = &Sluice{
		URL:  fmt.Sprintf("http://127.0.0.1:%d", port),
		life: t,
		Home: t.TempDir(),
		port: port,
		args: []string{"--env-file", env},
	}
	w.s.Start(t)
	w.gate = startCounter(t, fmt.Sprintf("127.0.0.1:%d", port))
	if out, err := w.s.Command(t, adminAccount.Password+"\n", "user", "create", "--superuser", "--role", "admin",
		"--email", adminAccount.Email, "--password-stdin", adminAccount.Username); err != nil {
		t.Fatalf("user create: %v\n%s", err, out)
	}
	w.admin = w.client(t, w.main)
	if a := w.admin.PostForm("/login",
		url.Values{"identifier": {adminAccount.Username},
			"password": {adminAccount.Password}}); a.Status != http.StatusSeeOther {
		t.Fatalf("signing in: %d %.300s", a.Status, a.Body)
	}
	w.s.AddPerson(t, w.admin, userAccount, "user")
	w.s.AddPerson(t, w.admin, viewerAccount, "viewer")
}

// certificate creates a certificate for the app's name.
func (w *aside) certificate(t testing.TB) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		DNSNames:              []string{appName},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	writeFile(t, w.dir+"/cert.pem", string(cert))
	writeFile(t, w.dir+"/cert.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	w.roots.AppendCertsFromPEM(cert)
}

// client is a browser for one origin with an empty jar, whose host names all mean this machine.
func (w *aside) client(t testing.TB, base string) *Client {
	c := NewClient(t, base)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: w.roots},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:"+port)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	c.http.Transport = transport
	return c
}

// with is a client with further headers.
func with(c *Client, lines ...string) *Client {
	d := *c
	d.Header = c.Header.Clone()
	for i := 0; i+1 < len(lines); i += 2 {
		d.Header[lines[i]] = append(d.Header[lines[i]], lines[i+1])
	}
	return &d
}

// browse navigates as a person does, through all redirects, and says where it ended.
func (w *aside) browse(t *testing.T, c *Client, address string) (Answer, string) {
	t.Helper()
	for range 12 {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		d := with(c, "Accept", "text/html", "Sec-Fetch-Mode", "navigate")
		d.Base = u.Scheme + "://" + u.Host
		a := d.Get(u.RequestURI())
		if a.Status < 300 || a.Status > 399 {
			return a, address
		}
		to, err := u.Parse(a.Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		address = to.String()
	}
	t.Fatalf("no end of redirects at %s", address)
	return Answer{}, ""
}

var textarea = regexp.MustCompile(`(?s)<textarea[^>]*id="snippet-(\w+)"[^>]*>(.*?)</textarea>`)

// connect takes the configuration from Sluice's page, as an admin copies it, and starts the reverse
// proxy with it.
func (w *aside) connect(t *testing.T) {
	made := w.admin.PostForm("/admin/apps/forward-auth", url.Values{"name": {"Flows"}, "public_url": {w.app}})
	page := made.Header.Get("Location")
	if made.Status != http.StatusSeeOther || !strings.HasSuffix(page, "/forward-auth") {
		t.Fatalf("adding the app: %d %.300s", made.Status, made.Body)
	}
	w.id = strings.Split(page, "/")[3]
	if a := w.admin.Get(page); !strings.Contains(a.Body, "Waiting for the first request") {
		t.Fatalf("the page does not wait: %d %.300s", a.Status, a.Body)
	}
	filled := w.admin.PostForm(page, url.Values{"gate": {w.gate.Addr().String()}, "runs": {w.b.host()}})
	for _, found := range textarea.FindAllStringSubmatch(filled.Body, -1) {
		if found[1] == w.proxy.name {
			w.text = html.UnescapeString(found[2])
		}
	}
	if w.text == "" {
		t.Fatalf("no configuration of %s: %d %.300s", w.proxy.name, filled.Status, filled.Body)
	}
	w.run(t, w.dir, w.text, w.port)
}

// run starts the reverse proxy and waits until it answers.
func (w *aside) run(t *testing.T, dir, text string, port int) {
	cmd := w.proxy.command(t, dir, text, port)
	cmd.Dir = dir
	p := startProcess(w.s.life, fmt.Sprintf("%s-%d", w.proxy.name, port), cmd)
	p.until(t, "answer", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	// Traefik listens before it has read its routes.
	p.until(t, "route", func() bool { return w.client(t, w.app).Get("/").Status != http.StatusNotFound })
}

func (w *aside) strangers(t *testing.T) {
	c := w.client(t, w.app)
	before := w.b.hits.Load()
	for _, tt := range []struct {
		method, path string
		lines        []string
	}{
		{"GET", "/data", []string{"Accept", "application/json"}}, {"POST", "/data",
			[]string{"X-Requested-With", "XMLHttpRequest"}}, {"GET", "/stream", []string{"Accept", "text/event-stream",
			"Sec-Fetch-Mode", "cors"}},
		{"DELETE", "/data", nil}, {"GET", "/ws",
			[]string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==",
				"Sec-Websocket-Version", "13"}},
	} {
		a := with(c, tt.lines...).Call(tt.method, tt.path, nil)
		if a.Status != http.StatusUnauthorized || !a.IsJSON() || !strings.Contains(a.Body, "Sign in") ||
			a.Header.Get("Location") != "" {
			t.Errorf("%s %s: %d %v %.200s", tt.method, tt.path, a.Status, a.Header, a.Body)
		}
	}
	if a, at := w.browse(t, c, w.app+"/data?x=1"); a.Status != http.StatusOK ||
		!strings.HasPrefix(at, w.main+"/login?") ||
		!strings.Contains(a.Body, `name="password"`) {
		t.Errorf("a stranger's navigation ends at %s: %d", at, a.Status)
	}
	if a := with(c, "Origin", "https://evil.test", "Access-Control-Request-Method", "POST").Call("OPTIONS", "/data",
		nil); a.Status != http.StatusForbidden ||
		a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a preflight of another origin: %d %v", a.Status, a.Header)
	}
	if n := w.b.hits.Load() - before; n != 0 {
		t.Errorf("%d requests of strangers reached the app", n)
	}
}

// enter signs a person in through the app, and returns their client at the app's origin.
func (w *aside) enter(t *testing.T, account Account) *Client {
	t.Helper()
	c := w.client(t, w.app)
	form, at := w.browse(t, c, w.app+"/data?page=2")
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	fields := u.Query()
	fields.Set("identifier", account.Username)
	fields.Set("password", account.Password)
	door := *c
	door.Base = w.main
	a := door.PostForm("/login", fields)
	if a.Status != http.StatusSeeOther {
		t.Fatalf("signing in at %s: %d %.300s (the form: %d)", at, a.Status, a.Body, form.Status)
	}
	to, err := u.Parse(a.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	last, at := w.browse(t, c, to.String())
	if last.Status != http.StatusOK || at != w.app+"/data?page=2" {
		t.Fatalf("signing in as %s ends at %s: %d %.300s", account.Username, at, last.Status, last.Body)
	}
	return c
}

func (w *aside) signIn(t *testing.T) {
	w.user, w.viewer = w.enter(t, userAccount), w.enter(t, viewerAccount)
}

func (w *aside) green(t *testing.T) {
	a := w.admin.Get("/admin/apps/" + w.id + "/forward-auth")
	if !strings.Contains(a.Body, "Receiving requests from your reverse proxy") ||
		strings.Contains(a.Body, "Waiting for the first request") {
		t.Errorf("%d %.300s", a.Status, a.Body)
	}
	var app struct {
		Mode  string
		Admin struct {
			AskedAt time.Time `json:"asked_at"`
		}
	}
	call(t, w.admin, "GET", "/api/v1/apps/"+w.id, nil, &app)
	if app.Mode != "forward-auth" || time.Since(app.Admin.AskedAt) > time.Minute {
		t.Errorf("%+v", app)
	}
}

// see sends a request and returns the parts that arrived at the app.
func see(t *testing.T, c *Client, path string) (g got) {
	t.Helper()
	a := c.Get(path)
	if a.Status != http.StatusOK {
		t.Fatalf("%s: %d %.300s", path, a.Status, a.Body)
	}
	a.JSON(t, &g)
	return g
}

func (w *aside) identity(t *testing.T) {
	g := see(
		t,
		with(w.user, "Cookie", "theme=dark; lang=en", "Authorization", "Basic YTpi", "X-Api-Key", "the app's own"),
		"/a/b%20c?x=%2F&y",
	)
	if g.URI != "/a/b%20c?x=%2F&y" || g.Method != "GET" || g.Host != strings.SplitN(w.app, "://", 2)[1] {
		t.Errorf("the app got %s %s of %s", g.Method, g.URI, g.Host)
	}
	for name, want := range map[string]string{"X-Sluice-User": "uma", "X-Sluice-Email": "uma@example.com",
		"X-Sluice-Role": "user", "X-Sluice-Name": "uma"} {
		if v := g.Header[name]; len(v) != 1 || v[0] != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
	if cookies := strings.Join(g.Header["Cookie"], "; "); cookies != "theme=dark; lang=en" ||
		g.Header.Get("Authorization") != "Basic YTpi" ||
		g.Header.Get("X-Api-Key") != "the app's own" {
		t.Errorf(
			"the app gets the cookies %q and the credentials %q, %q",
			cookies,
			g.Header["Authorization"],
			g.Header["X-Api-Key"],
		)
	}
	if g := see(t, w.user, "/data"); g.Header["Cookie"] != nil || g.Header["Authorization"] != nil ||
		g.Header["X-Api-Key"] != nil {
		t.Errorf("the app gets Sluice's cookie: %q", g.Header["Cookie"])
	}
	keys := w.client(t, w.main).Get("/.well-known/jwks.json")
	var set jose.JSONWebKeySet
	keys.JSON(t, &set)
	signed, err := jose.ParseSignedCompact(g.Header.Get("X-Sluice-Assertion"), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.Verify(&set)
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Iss, Aud, Sub string
		Username      string `json:"preferred_username"`
		Exp           int64
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	if claims.Iss != w.main || claims.Aud != w.app || claims.Sub != g.Header.Get("X-Sluice-Id") ||
		claims.Username != "uma" ||
		time.Until(time.Unix(claims.Exp, 0)) < 3*time.Minute {
		t.Errorf("%s", text)
	}
}

// spellings are the ways in which a client may write a header that CGI-like servers read as
// X-Sluice-User.
var spellings = []string{
	"X-Sluice-User",
	"x-sluice-user",
	"X-SLUICE-USER",
	"X_Sluice_User",
	"x_sluice_user",
	"X-Sluice_User",
	"X_Sluice-User",
	"X.Sluice.User",
	"X-Sluice.User",
	"HTTP_X_SLUICE_USER",
	"X-Sluice-Role",
	"X_SLUICE_ROLE",
	"X-Sluice-Assertion",
	"X-Sluice_Assertion",
	"X-Sluice-Admin",
}

func (w *aside) spoof(t *testing.T) {
	for _, name := range spellings {
		w.tryName(t, w.user, name)
	}
	w.tryName(t, w.user, "X-Sluice-User: evil\r\nX-Sluice-User")
	// Headers that Connection names are removed before a request is forwarded (RFC 9110 section
	// 7.6.1), but not Sluice's own.
	for _, name := range []string{"X-Sluice-User", "x-sluice-user, X-Sluice-Role"} {
		g := w.raw(t, w.user, "GET", "/data", "Connection: keep-alive, "+name)
		if v := g.Header.Get("X-Sluice-User"); v != "uma" {
			t.Errorf("Connection: %s makes the app see %q", name, v)
		}
	}
	for _, lines := range []string{"X-Forwarded-Method: GET", "X-Forwarded-Uri: /public", "X-Forwarded-Host: " +
		"other.test", "X-Original-URL: /public\r\nX-Original-Method: GET", "X-Forwarded-User: admin"} {
		if a := w.rawAnswer(t, w.viewer, "POST", "/data", lines,
			"Content-Length: 0"); a.Status != http.StatusForbidden {
			t.Errorf("with %q a viewer's change gives %d %.200s", lines, a.Status, a.Body)
		}
	}
	if w.proxy.name == "nginx" {
		w.careless(t)
	}
}

// careless is an nginx whose operator lets headers with underscores and dots through: Sluice
// refuses what could be read as its word.
func (w *aside) careless(t *testing.T) {
	other := *w
	other.port, other.dir = freePort(t), t.TempDir()
	text := secondFront.Replace(
		strings.ReplaceAll(w.text, fmt.Sprintf("listen %d", w.port), fmt.Sprintf("listen %d", other.port)),
	)
	for _, name := range []string{"cert.pem", "cert.key"} {
		b, err := os.ReadFile(filepath.Join(w.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(other.dir, name), string(b))
	}
	cmd := nginxCommand(t, other.dir, text, other.port)
	p := startProcess(t, "nginx-careless", cmd)
	p.until(t, "answer", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", other.port))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	for _, name := range spellings {
		other.tryName(t, w.user, name)
	}
}

// ownNames are what the reverse proxy sets itself. With any other name in Sluice's the request is
// refused, if the reverse proxy has not taken the header out before it asks.
var ownNames = []string{"X-Sluice-User", "X-Sluice-Role", "X-Sluice-Assertion"}

// tryName sends a header that claims an identity. The app must not see it under any name.
func (w *aside) tryName(t *testing.T, c *Client, name string) {
	t.Helper()
	a := w.rawAnswer(t, c, "GET", "/data", name+": evil")
	mine := slices.Contains(ownNames, http.CanonicalHeaderKey(strings.Split(name, ":")[0])) ||
		strings.HasPrefix(name, "HTTP_")
	if a.Status == http.StatusForbidden && !mine {
		return
	}
	if a.Status != http.StatusOK {
		t.Errorf("with %q: %d %.200s", name, a.Status, a.Body)
		return
	}
	var g got
	a.JSON(t, &g)
	for seen, values := range g.Header {
		// No server reads HTTP_X_SLUICE_USER as X-Sluice-User: it would be HTTP_HTTP_X_SLUICE_USER.
		if strings.Contains(strings.Join(values, " "), "evil") && !strings.EqualFold(seen, "HTTP_X_SLUICE_USER") {
			t.Errorf("the app sees %s: %q", seen, values)
		}
	}
	if v := g.Header["X-Sluice-User"]; len(v) != 1 || v[0] != "uma" {
		t.Errorf("with %q the app sees X-Sluice-User %q", name, v)
	}
}

// rawAnswer sends a request byte by byte to the reverse proxy, with a client's cookies.
func (w *aside) rawAnswer(t *testing.T, c *Client, method, target string, lines ...string) Answer {
	t.Helper()
	conn := w.dial(t)
	defer conn.Close()
	_ = conn.SetDeadline(deadline(t))
	text := method + " " + target + " HTTP/1.1\r\nHost: " + strings.SplitN(w.app, "://", 2)[1] + "\r\nCookie: " +
		w.cookies(
			t,
			c,
		) + "\r\n" + strings.Join(
		append(lines, "", ""),
		"\r\n",
	)
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s %q %q: %v", method, target, lines, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		t.Fatal(err)
	}
	return Answer{Status: res.StatusCode, Header: res.Header, Body: string(body)}
}

func (w *aside) raw(t *testing.T, c *Client, method, target string, lines ...string) (g got) {
	t.Helper()
	a := w.rawAnswer(t, c, method, target, lines...)
	if a.Status != http.StatusOK {
		t.Fatalf("%s %s %q: %d %.300s", method, target, lines, a.Status, a.Body)
	}
	a.JSON(t, &g)
	return g
}

func (w *aside) dial(t *testing.T) net.Conn {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", w.port)
	var conn net.Conn
	var err error
	if w.proxy.https {
		conn, err = tls.Dial("tcp", address, &tls.Config{RootCAs: w.roots, ServerName: appName})
	} else {
		conn, err = net.Dial("tcp", address)
	}
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func (w *aside) cookies(t *testing.T, c *Client) string {
	t.Helper()
	u, err := url.Parse(w.app)
	if err != nil {
		t.Fatal(err)
	}
	var pairs []string
	for _, cookie := range c.http.Jar.Cookies(u) {
		pairs = append(pairs, cookie.Name+"="+cookie.Value)
	}
	return strings.Join(pairs, "; ")
}

func (w *aside) roles(t *testing.T) {
	if g := see(t, w.viewer, "/data"); g.Header.Get("X-Sluice-User") != "vic" ||
		g.Header.Get("X-Sluice-Role") != "viewer" {
		t.Errorf("the viewer's request: %v", g.Header)
	}
	before := w.b.hits.Load()
	for _, path := range []string{"/data", "/upload"} {
		if a := w.viewer.Call("POST", path, strings.Repeat("x", 1<<20)); a.Status != http.StatusForbidden ||
			!a.IsJSON() ||
			!strings.Contains(a.Body, "not have permission") {
			t.Errorf("a viewer's change: %d %.300s", a.Status, a.Body)
		}
	}
	a, _ := w.browse(t, w.user, w.app+"/admin/settings")
	if a.Status != http.StatusForbidden || !strings.Contains(a.Body, "<h1") ||
		!strings.Contains(a.Body, "not have permission") {
		t.Errorf("an admin page of a user: %d %.300s", a.Status, a.Body)
	}
	if n := w.b.hits.Load() - before; n != 0 {
		t.Errorf("%d refused requests reached the app", n)
	}
	if a := w.user.Call("PUT", "/data", map[string]int{"a": 1}); a.Status != http.StatusOK {
		t.Errorf("a user's change: %d %.300s", a.Status, a.Body)
	}
	if a := with(w.user, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.test").Call("POST", "/data",
		"{}"); a.Status != http.StatusForbidden {
		t.Errorf("a change from another site: %d", a.Status)
	}
}

func (w *aside) oddities(t *testing.T) {
	for _, target := range []string{"/admin%2Fsettings", "/x/..%2fadmin", "/a/%2e%2e/admin", "/a;b=c/d", "/%61dmin",
		"/admin%00", "/.sluice/forward-auth", "/.sluice/forward-auth-answer"} {
		before := w.b.hits.Load()
		a := w.rawAnswer(t, w.viewer, "GET", target)
		if a.Status < 300 || w.b.hits.Load() != before {
			t.Errorf("%s: %d %.200s", target, a.Status, a.Body)
		}
	}
	// A reverse proxy may tidy these up or refuse them; what reaches the app has been judged as it
	// is.
	for _, target := range []string{"//admin/settings", "/a/../admin/settings", "/./admin/settings",
		"/a//b/../../admin/settings", "/x/%2E%2E/admin/settings"} {
		if a := w.rawAnswer(t, w.viewer, "GET", target); a.Status == http.StatusOK {
			t.Errorf("a viewer gets %s: %.300s", target, a.Body)
		}
	}
	if a := w.rawAnswer(t, w.viewer, "GET", "/a?x=1;y=2"); a.Status == http.StatusOK && strings.Contains(a.Body, ";") {
		t.Errorf("a query that can be read in two ways arrives as it was: %.300s", a.Body)
	}
}

func (w *aside) ownErrors(t *testing.T) {
	for _, status := range []int{401, 403, 404, 500, 502} {
		if a := w.user.Get(fmt.Sprintf("/data?status=%d", status)); a.Status != status ||
			a.Body != "the app's own words" {
			t.Errorf("the app's own %d became %d %.200s", status, a.Status, a.Body)
		}
	}
}

func (w *aside) stream(t *testing.T) {
	res := with(w.viewer, "Accept", "text/event-stream").Open("GET", "/stream", nil)
	events := bufio.NewScanner(res.Body)
	for i := 1; i <= 3; i++ {
		if i > 1 {
			w.b.next <- struct{}{}
		}
		if !events.Scan() || events.Text() != fmt.Sprintf("data: %d", i) || !events.Scan() {
			t.Fatalf("event %d: %q, %v", i, events.Text(), events.Err())
		}
	}
}

func (w *aside) webSocket(t *testing.T) {
	shake := func(c *Client, origin string) (net.Conn, *bufio.Reader, *http.Response) {
		conn := w.dial(t)
		_ = conn.SetDeadline(deadline(t))
		fmt.Fprintf(
			conn,
			"GET /ws HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\nConnection: Upgrade\r\nUpgrade: "+
				"websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: "+
				"%s\r\n\r\n",
			strings.SplitN(w.app, "://", 2)[1],
			w.cookies(t, c),
			origin,
		)
		r := bufio.NewReader(conn)
		res, err := http.ReadResponse(r, &http.Request{Method: "GET"})
		if err != nil {
			t.Fatal(err)
		}
		return conn, r, res
	}
	conn, r, res := shake(w.viewer, w.app)
	defer conn.Close()
	if res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("X-Seen-User") != "vic" ||
		res.Header.Get("Sec-Websocket-Accept") != accept("dGhlIHNhbXBsZSBub25jZQ==") {
		t.Fatalf("the handshake: %d %v", res.StatusCode, res.Header)
	}
	for _, text := range []string{"hello", "again"} {
		frame := append([]byte{0x81, 0x80 | byte(len(text)), 1, 2, 3, 4}, text...)
		for i := range text {
			frame[6+i] ^= byte(1 + i%4)
		}
		if _, err := conn.Write(frame); err != nil {
			t.Fatal(err)
		}
		if back, err := readFrame(r); err != nil || string(back) != text {
			t.Fatalf("%q came back as %q, %v", text, back, err)
		}
	}
	other, _, res := shake(w.viewer, "https://evil.test")
	defer other.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("a WebSocket of another site's page: %d", res.StatusCode)
	}
}

// upload sends several MB in two parts; the second only after the app has the beginning of the
// first. A proxy that buffers uploads, or sends them to Sluice first, never gets there.
func (w *aside) upload(t *testing.T) {
	part := bytes.Repeat([]byte("0123456789abcdef"), 4<<20/16)
	for _, chunked := range []bool{false, true} {
		in, out := io.Pipe()
		length := int64(2 * len(part))
		if chunked {
			length = -1
		}
		req, err := http.NewRequest("POST", w.app+"/upload", in)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = length
		var sent sync.WaitGroup
		sent.Go(func() {
			_, _ = out.Write(part)
			select {
			case <-w.b.begun:
				_, _ = out.Write(part)
				_ = out.Close()
			case <-time.After(time.Until(deadline(t))):
				_ = out.CloseWithError(errors.New("the app has not seen the beginning within the time of the suite"))
			}
		})
		res, err := w.user.http.Do(req)
		sent.Wait()
		if err != nil {
			t.Fatalf("chunked %v: %v", chunked, err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		var g got
		if err != nil || res.StatusCode != http.StatusOK || json.Unmarshal(body, &g) != nil {
			t.Fatalf("chunked %v: %d %v %.300s", chunked, res.StatusCode, err, body)
		}
		sum := sha256.Sum256(append(bytes.Clone(part), part...))
		if g.Length != int64(2*len(part)) || g.Sum != hex.EncodeToString(sum[:]) ||
			g.Header.Get("X-Sluice-User") != "uma" {
			t.Errorf("chunked %v: %d bytes arrived, of %s", chunked, g.Length, g.Header.Get("X-Sluice-User"))
		}
	}
}

func (w *aside) keepAlive(t *testing.T) {
	see(t, w.user, "/data")
	app, gate := w.b.conns.Load(), w.gate.conns.Load()
	for range 60 {
		see(t, w.user, "/data")
	}
	if n := w.b.conns.Load() - app; n > 3 {
		t.Errorf("60 requests opened %d connections to the app", n)
	}
	if n := w.gate.conns.Load() - gate; n > 3 {
		t.Errorf("60 requests opened %d connections to Sluice", n)
	}
}

func (w *aside) down(t *testing.T) {
	before := w.b.hits.Load()
	w.s.Kill()
	for _, path := range []string{"/data", "/.sluice/enter"} {
		if a := w.user.Get(path); a.Status < 500 {
			t.Errorf("%s without Sluice: %d %.200s", path, a.Status, a.Body)
		}
	}
	if n := w.b.hits.Load() - before; n != 0 {
		t.Errorf("%d requests reached the app without Sluice", n)
	}
	w.s.Start(t)
	// nginx leaves a server that has failed alone for ten seconds.
	await(
		t,
		"answer with Sluice again",
		func() bool { return w.user.Get("/data").Status == http.StatusOK },
		func() string { return "" },
	)
}

func (w *aside) signOut(t *testing.T) {
	if a := with(w.user, "Origin", w.app).Call("POST", "/.sluice/signout", ""); a.Status != http.StatusSeeOther {
		t.Fatalf("signing out: %d %.200s", a.Status, a.Body)
	}
	if a := w.user.Get("/data"); a.Status != http.StatusUnauthorized {
		t.Errorf("after signing out: %d %.200s", a.Status, a.Body)
	}
	if g := see(t, w.viewer, "/data"); g.Header.Get("X-Sluice-User") != "vic" {
		t.Errorf("somebody else: %v", g.Header)
	}
}
