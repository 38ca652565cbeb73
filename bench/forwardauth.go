package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Where the Sluice listens that is asked, and the names that it knows.
const (
	askedHost = "127.0.0.1:4034"
	askedMain = "http://gate.test:4034"
	askedApp  = "http://flows.test"
)

// subRequest is what a reverse proxy adds to the browser's headers.
const subRequest = "X-Forwarded-Method: GET\r\nX-Forwarded-Host: flows.test\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Uri: /api/items\r\nX-Forwarded-For: 203.0.113.9\r\n"

// empty answers every request with 204, as little as net/http can do.
func empty(l net.Listener) error {
	s := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })}
	return s.Serve(l)
}

// forwardAuth compares Sluice's answer to a sub-request with an empty answer of net/http to the same bytes.
func forwardAuth(s *stage, set settings, t *table) error {
	var bare, own system
	var err error
	if bare.process, bare.host, err = s.role("empty", "", systemCore); err != nil {
		return err
	}
	if err := s.startAsked(&own); err != nil {
		return err
	}
	own.lines, bare.lines = subRequest, subRequest
	bare.cookie = own.cookie
	var rates, cpus, each []float64
	for round := -1; round < set.rounds+2*set.rounds && len(rates) < set.rounds; round++ {
		order := []*system{&bare, &own}
		if round%2 == 0 {
			slices.Reverse(order)
		}
		got := map[*system]result{}
		for _, sys := range order {
			r, err := closedLoop(sys, "/forward-auth?proxy=nginx", set.conns, time.Duration(set.seconds)*time.Second)
			if err != nil {
				return fmt.Errorf("load: %w\n%s", err, sys.process.out)
			}
			got[sys] = r
		}
		if round < 0 {
			continue
		}
		b, g := got[&bare], got[&own]
		fmt.Printf("  round %d: 204 %6.0f/s  sluice %6.0f/s  ratio %.2f  CPU %.1f / %.1f µs  others %.0f / %.0f %%\n",
			round+1, b.rate(), g.rate(), g.rate()/b.rate(), b.cpuEach(), g.cpuEach(), 100*b.foreign, 100*g.foreign)
		cpus, each = append(cpus, b.cpuEach()/g.cpuEach()), append(each, g.cpuEach())
		if b.foreign <= quiet && g.foreign <= quiet {
			rates = append(rates, g.rate()/b.rate())
		}
	}
	if 2*len(rates) >= set.rounds {
		t.atLeast("decisions/s of forward-auth : 204 of net/http", median(rates), 0.60, "%.2f")
	} else {
		t.atLeast("decisions of forward-auth per second of processor time : 204 of net/http", median(cpus), 0.60, "%.2f")
	}
	t.note("CPU of a decision, µs", "%.1f", median(each))
	return nil
}

// startAsked runs a Sluice with an app behind a reverse proxy, and signs in there.
func (s *stage) startAsked(own *system) error {
	folder := filepath.Join(s.folder, "asked")
	env := append(s.environment(folder), "PORT=4034", "APP_URL="+askedMain)
	create := exec.Command(s.binary, "user", "create", username, "--superuser", "--password-stdin")
	create.Env = append(os.Environ(), env...)
	create.Stdin = strings.NewReader(password + "\n")
	if out, err := create.CombinedOutput(); err != nil {
		return fmt.Errorf("making a person: %w\n%s", err, out)
	}
	var err error
	if own.process, _, err = s.child(systemCore, env, s.binary, "serve"); err != nil {
		return err
	}
	own.host = askedHost
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if c, err := connect(own, "/login"); err == nil {
			c.close()
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("sluice did not start within 10 s\n%s", own.process.out)
		}
	}
	if own.cookie, err = s.enterAsked(); err != nil {
		return fmt.Errorf("signing in behind a reverse proxy: %w\n%s", err, own.process.out)
	}
	return nil
}

// enterAsked adds the app and takes the way of a browser into it; it returns the cookie of the app's origin.
func (s *stage) enterAsked() (string, error) {
	form := url.Values{"identifier": {username}, "password": {password}}
	main, _, err := visit(http.MethodPost, askedMain+"/login", "", "application/x-www-form-urlencoded", form.Encode())
	if err != nil {
		return "", err
	}
	spec, err := json.Marshal(map[string]string{"mode": "forward-auth", "public_url": askedApp, "name": "Asked"})
	if err != nil {
		return "", err
	}
	if _, _, err := visit(http.MethodPost, askedMain+"/api/v1/apps", main, "application/json", string(spec)); err != nil {
		return "", err
	}
	state, to, err := visit(http.MethodGet, askedApp+"/.sluice/enter?return=/", "", "", "")
	if err != nil {
		return "", err
	}
	if _, to, err = visit(http.MethodGet, to, main, "", ""); err != nil {
		return "", err
	}
	cookies, _, err := visit(http.MethodGet, to, state, "", "")
	for pair := range strings.SplitSeq(cookies, "; ") {
		if strings.HasPrefix(pair, "sluice_session=") {
			return pair, err
		}
	}
	return "", fmt.Errorf("no cookie of the app's origin in %q (%w)", cookies, err)
}

// visit sends one request to the Sluice that is asked, whatever host the address names, and gives the cookies and the redirect of the answer.
func visit(method, address, cookies, contentType, body string) (set, location string, err error) {
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
		return (&net.Dialer{}).DialContext(ctx, network, askedHost)
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
