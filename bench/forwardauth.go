package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// askedApp is the address of the app behind forward-auth.
const askedApp = "http://flows.test"

// asked is where a Sluice listens that is asked.
type asked int

func (port asked) host() string { return "127.0.0.1:" + strconv.Itoa(int(port)) }
func (port asked) main() string { return "http://gate.test:" + strconv.Itoa(int(port)) }

// subRequest is what a reverse proxy adds to the browser's headers.
const subRequest = "X-Forwarded-Method: GET\r\nX-Forwarded-Host: flows.test\r\nX-Forwarded-Proto: " +
	"http\r\nX-Forwarded-Uri: /api/items\r\nX-Forwarded-For: 203.0.113.9\r\n"

// empty answers every request with 204, as little as net/http can do.
func empty(l net.Listener) error {
	s := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		),
	}
	return s.Serve(l)
}

// forwardAuth compares Sluice's answer to a sub-request with an empty answer of net/http to the
// same bytes.
func forwardAuth(s *stage, set settings, t *table) error {
	bare, own := system{name: "204"}, system{name: "sluice"}
	var err error
	if bare.process, bare.host, err = s.role("empty", "", systemCore); err != nil {
		return err
	}
	if err := s.startAsked(&own, s.binary, "asked", 4034); err != nil {
		return err
	}
	var before *system
	if set.base != "" {
		before = &system{name: "before", lines: subRequest}
		if err := s.startAsked(before, set.base, "asked-before", 4036); err != nil {
			return err
		}
	}
	own.lines, bare.lines = subRequest, subRequest
	bare.cookie = own.cookie
	var rates, cpus, each, after []float64
	for round := -1; round < set.rounds+2*set.rounds && len(rates) < set.rounds; round++ {
		got, err := turns(set, round, "/forward-auth?proxy=nginx", and(before, &bare, &own)...)
		if err != nil {
			return err
		}
		if round < 0 {
			continue
		}
		b, g := got[&bare], got[&own]
		fmt.Printf("  round %d: 204 %6.0f/s  sluice %6.0f/s  ratio %.2f  CPU %.1f / %.1f µs  others %.0f / %.0f %%\n",
			round+1, b.rate(), g.rate(), g.rate()/b.rate(), b.cpuEach(), g.cpuEach(), 100*b.foreign, 100*g.foreign)
		cpus, each = append(cpus, b.cpuEach()/g.cpuEach()), append(each, g.cpuEach())
		if before != nil {
			p := got[before]
			fmt.Printf("           the build before %6.0f/s  CPU %.1f µs\n", p.rate(), p.cpuEach())
			after = append(after, g.cpuEach()/p.cpuEach())
		}
		if b.foreign <= quiet && g.foreign <= quiet {
			rates = append(rates, g.rate()/b.rate())
		}
	}
	if 2*len(rates) >= set.rounds {
		t.atLeast("decisions/s of forward-auth : 204 of net/http", median(rates), 0.60, "%.2f")
	} else {
		t.atLeast("decisions of forward-auth per second of processor time : 204 of net/http", median(cpus), 0.60,
			"%.2f")
	}
	t.note("CPU of a decision, µs", "%.1f", median(each))
	if before != nil {
		t.atMost("CPU of a decision, this build : the one before", median(after), noWorse, "%.2f")
	}
	return nil
}

// startAsked runs a build of Sluice with an app behind a reverse proxy, and signs in there.
func (s *stage) startAsked(own *system, binary, folder string, port asked) error {
	env := append(environment(filepath.Join(s.folder, folder), int(port)), "APP_URL="+port.main())
	err := createPerson(binary, env)
	if err != nil {
		return err
	}
	if own.process, _, err = s.child(systemCore, env, binary, "serve"); err != nil {
		return err
	}
	own.host = port.host()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if c, err := connect(own, "/login"); err == nil {
			c.close()
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("sluice did not start within 10 s\n%s", own.process.out)
		}
	}
	if own.cookie, err = port.enter(); err != nil {
		return fmt.Errorf("signing in behind a reverse proxy: %w\n%s", err, own.process.out)
	}
	return nil
}

// enter adds the app and takes the way of a browser into it; it returns the cookie of the app's
// origin.
func (port asked) enter() (string, error) {
	form := url.Values{"identifier": {username}, "password": {password}}
	main, _, err := port.visit(
		http.MethodPost,
		port.main()+"/login",
		"",
		"application/x-www-form-urlencoded",
		form.Encode(),
	)
	if err != nil {
		return "", err
	}
	spec, err := json.Marshal(map[string]string{"mode": "forward-auth", "public_url": askedApp, "name": "Asked"})
	if err != nil {
		return "", err
	}
	if _, _, err := port.visit(http.MethodPost, port.main()+"/api/v1/apps", main, "application/json",
		string(spec)); err != nil {
		return "", err
	}
	state, to, err := port.visit(http.MethodGet, askedApp+"/.sluice/enter?return=/", "", "", "")
	if err != nil {
		return "", err
	}
	if _, to, err = port.visit(http.MethodGet, to, main, "", ""); err != nil {
		return "", err
	}
	cookies, _, err := port.visit(http.MethodGet, to, state, "", "")
	for pair := range strings.SplitSeq(cookies, "; ") {
		if strings.HasPrefix(pair, "sluice_session=") {
			return pair, err
		}
	}
	return "", fmt.Errorf("no cookie of the app's origin in %q (%w)", cookies, err)
}

// visit sends one request to the Sluice that is asked, whatever host the address names, and returns
// the cookies and the redirect of the answer.
func (port asked) visit(method, address, cookies, contentType, body string) (set, location string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return "", "", err
	}
	req.Header.Set("Accept", "text/html")
	if cookies != "" {
		req.Header.Set("Cookie", cookies)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, port.host())
	}}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		return "", "", err
	}
	defer res.Body.Close()
	if text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<16)); res.StatusCode >= 400 {
		return "", "", fmt.Errorf("%s %s: %d %s", method, address, res.StatusCode, text)
	}
	var pairs []string
	for _, c := range res.Cookies() {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; "), res.Header.Get("Location"), nil
}
