package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// keys measures calls with an API key: the gate's own throughput beside plain forwarding, and one
// call of a real Flowise, with a Flowise key directly and with a Sluice key through Sluice. Flowise
// checks a key with scrypt, which costs 31 ms of processor time for each call.
func keys(s *stage, set settings, t *table) error {
	key, err := s.makeKey(environment(filepath.Join(s.folder, "data"), 4030))
	if err != nil {
		return err
	}
	keyed := s.sluice
	keyed.cookie, keyed.lines = "", "Authorization: Bearer "+key+"\r\n"
	var cpus, rates []float64
	for round := -1; round < set.rounds; round++ {
		order := []*system{&s.bare, &keyed}
		if round%2 == 0 {
			slices.Reverse(order)
		}
		got := map[*system]result{}
		for _, sys := range order {
			r, err := closedLoop(sys, "/api/items", set.conns, time.Duration(set.seconds)*time.Second)
			if err != nil {
				return fmt.Errorf("load: %w\n%s", err, sys.process.out)
			}
			got[sys] = r
		}
		b, k := got[&s.bare], got[&keyed]
		fmt.Printf(
			"  round %d: bare %6.0f/s  with a key %6.0f/s  CPU %.1f / %.1f µs\n",
			round+1,
			b.rate(),
			k.rate(),
			b.cpuEach(),
			k.cpuEach(),
		)
		if round >= 0 {
			cpus, rates = append(cpus, k.cpuEach()/b.cpuEach()), append(rates, k.rate())
		}
	}
	t.note("requests/s, Sluice, with an API key", "%.0f", median(rates))
	t.atMost("CPU of a request with an API key, Sluice : bare", median(cpus), 1.20, "%.2f")
	return s.besideFlowise(set, median(rates), t)
}

// makeKey creates a key with the command line, as an operator would, and waits until the server
// knows it.
func (s *stage) makeKey(env []string) (string, error) {
	cmd := exec.Command(s.binary, "key", "create", username, "bench")
	cmd.Env = append(os.Environ(), env...)
	var told bytes.Buffer
	cmd.Stderr = &told
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("creating a key: %w\n%s", err, told.String())
	}
	time.Sleep(500 * time.Millisecond)
	return strings.TrimSpace(string(out)), nil
}

// freePort returns a loopback port that is free right now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// flowiseFolder is where e2e/install-flowise.sh keeps the real Flowise.
func flowiseFolder() string {
	cache := os.Getenv("SLUICEDEV_CACHE")
	if home, err := os.UserHomeDir(); cache == "" && err == nil {
		cache = filepath.Join(home, ".cache", "sluice")
	}
	return filepath.Join(cache, "flowise-3.1.4")
}

// besideFlowise compares the same call with a Flowise key directly and, through Sluice, with a
// Sluice key.
func (s *stage) besideFlowise(set settings, gate float64, t *table) error {
	program := filepath.Join(flowiseFolder(), "node_modules", "flowise", "bin", "run")
	if _, err := os.Stat(program); err != nil {
		fmt.Println("  no Flowise here to compare with; e2e/install-flowise.sh installs one")
		return nil
	}
	direct, owner, err := s.startFlowise(program)
	if err != nil {
		return err
	}
	through, err := s.sluiceBeforeFlowise("http://"+direct.host, owner)
	if err != nil {
		return err
	}
	const conns = 8
	var own, ours []float64
	for round := range set.rounds {
		a, err := closedLoop(&direct, "/api/v1/chatflows", conns, time.Duration(set.seconds)*time.Second)
		if err != nil {
			return fmt.Errorf("calling Flowise with its own key: %w", err)
		}
		b, err := closedLoop(&through, "/api/v1/chatflows", conns, time.Duration(set.seconds)*time.Second)
		if err != nil {
			return fmt.Errorf("calling Flowise through Sluice: %w\n%s", err, through.process.out)
		}
		fmt.Printf(
			"  round %d: Flowise with its own key %5.1f/s  through Sluice with Sluice's %6.1f/s\n",
			round+1,
			a.rate(),
			b.rate(),
		)
		own, ours = append(own, a.rate()), append(ours, b.rate())
	}
	t.note("calls/s with a key, Flowise alone : through Sluice", "%.1f : %.1f", median(own), median(ours))
	t.atLeast("the same call, through Sluice : Flowise alone", median(ours)/median(own), 2, "%.1f")
	t.atLeast("calls/s with a key, Sluice's gate : Flowise alone", gate/median(own), 100, "%.0f")
	return nil
}

const ownerPassword = "Bench-Owner-Password-1"

// startFlowise starts a real Flowise on the core of the load, and creates its owner and a Flowise
// key.
func (s *stage) startFlowise(program string) (system, *http.Client, error) {
	port, err := freePort()
	if err != nil {
		return system{}, nil, err
	}
	host, home := "127.0.0.1:"+port, filepath.Join(s.folder, "flowise")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return system{}, nil, err
	}
	p, out, err := s.child(loadCore, []string{
		"HOME=" + home, "HOST=127.0.0.1", "PORT=" + port, "DATABASE_PATH=" + home, "SECRETKEY_PATH=" +
			home, "BLOB_STORAGE_PATH=" + filepath.Join(home, "blobs"),
		"LOG_PATH=" + filepath.Join(home, "logs"), "DISABLE_FLOWISE_TELEMETRY=true", "LOG_LEVEL=error",
	}, "node", program, "start")
	if err != nil {
		return system{}, nil, err
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	client, base := &http.Client{Timeout: 30 * time.Second}, "http://"+host
	for start := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		if res, err := client.Get(base + "/api/v1/ping"); err == nil {
			_ = res.Body.Close()
			break
		}
		if time.Since(start) > 3*time.Minute {
			return system{}, nil, fmt.Errorf("the builder did not start\n%s", p.out)
		}
	}
	user := map[string]any{
		"user": map[string]string{"name": "bench", "email": "bench@example.com", "credential": ownerPassword},
	}
	if _, err := send(client, base+"/api/v1/account/register", "", user, nil); err != nil {
		return system{}, nil, err
	}
	cookies, err := send(
		client,
		base+"/api/v1/auth/login",
		"",
		map[string]string{"email": "bench@example.com", "password": ownerPassword},
		nil,
	)
	if err != nil {
		return system{}, nil, err
	}
	var made []struct{ APIKey string }
	if _, err := send(client, base+"/api/v1/apikey", cookies,
		map[string]any{"keyName": "bench", "permissions": []string{"chatflows:view"}}, &made); err != nil {
		return system{}, nil, err
	}
	return system{
		process: p,
		host:    host,
		lines:   "Authorization: Bearer " + made[len(made)-1].APIKey + "\r\n",
	}, client, nil
}

// sluiceBeforeFlowise starts a separate Sluice in front of Flowise and creates a Sluice key.
func (s *stage) sluiceBeforeFlowise(target string, client *http.Client) (system, error) {
	folder := filepath.Join(s.folder, "keys")
	port, err := freePort()
	if err != nil {
		return system{}, err
	}
	apps, err := freePort()
	if err != nil {
		return system{}, err
	}
	env := append(environment(folder, 0), "PORT="+port, "SLUICE_APP_PORTS="+apps)
	if err := createPerson(s.binary, env, "--role", "admin"); err != nil {
		return system{}, err
	}
	p, out, err := s.child(systemCore, env, s.binary, "serve", "--protect", "flowise="+target)
	if err != nil {
		return system{}, err
	}
	host, err := appAddress(out)
	if err != nil {
		return system{}, fmt.Errorf("starting sluice: %w\n%s", err, p.out)
	}
	login := "127.0.0.1:" + port
	cookie, err := signIn(login)
	if err != nil {
		return system{}, err
	}
	var list struct{ Items []struct{ ID string } }
	if _, err := send(client, "http://"+login+"/api/v1/apps", cookie, nil, &list); err != nil {
		return system{}, err
	}
	owner := map[string]string{"email": "bench@example.com", "password": ownerPassword}
	if _, err := send(client, "http://"+login+"/api/v1/apps/"+list.Items[0].ID+"/owner", cookie, owner,
		nil); err != nil {
		return system{}, err
	}
	key, err := s.makeKey(env)
	return system{process: p, host: host, lines: "Authorization: Bearer " + key + "\r\n"}, err
}

// send makes a call with JSON that must succeed, and returns the cookies of the answer as a Cookie
// header.
func send(client *http.Client, address, cookies string, body, answer any) (string, error) {
	method, text := http.MethodGet, []byte(nil)
	if body != nil {
		method = http.MethodPost
		var err error
		if text, err = json.Marshal(body); err != nil {
			return "", err
		}
	}
	req, err := http.NewRequest(method, address, bytes.NewReader(text))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Request-From", "internal")
	if cookies != "" {
		req.Header.Set("Cookie", cookies)
	}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	read, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s answers %s: %.300s", address, strconv.Itoa(res.StatusCode), read)
	}
	if err == nil && answer != nil {
		err = json.Unmarshal(read, answer)
	}
	var got []string
	for _, c := range res.Cookies() {
		got = append(got, c.Name+"="+c.Value)
	}
	return strings.Join(got, "; "), err
}
