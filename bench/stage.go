package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// The cores: load and upstream on one, what is measured on the other.
const (
	loadCore   = 0
	systemCore = 1
)

// The account that signs in.
const (
	username = "bench"
	// words: a password, not a sentence
	password = "nobody waters the plastic ferns"
)

// system is a process under test.
type system struct {
	name    string
	process *process
	host    string // host:port to measure
	cookie  string
	lines   string // further lines of the request's head
}

// stage is everything that runs.
type stage struct {
	folder, binary string
	upstream       *process
	bare, sluice   system
	before         *system // the build of the commit before; nil: none takes part
	login          string  // host:port of Sluice's own pages
	all            []*process
}

// process is a child with the address that it printed.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bytes.Buffer
}

func (s *stage) close() {
	for _, p := range s.all {
		p.stop()
	}
	if s.folder != "" {
		_ = os.RemoveAll(s.folder)
	}
}

func (p *process) stop() {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Signal(os.Interrupt)
	done := make(chan struct{})
	go func() { _ = p.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// build makes the real binary.
func (s *stage) build() (err error) {
	if s.folder, err = os.MkdirTemp("", "sluice-bench-"); err != nil {
		return err
	}
	s.binary = filepath.Join(s.folder, "sluice")
	cmd := exec.Command("go", "build", "-o", s.binary, "sluice")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building sluice: %w\n%s", err, out)
	}
	return nil
}

// start starts upstream, bare proxy, Sluice and the build before, if base names one, and signs in.
func (s *stage) start(base string) error {
	var err error
	var at string
	if s.upstream, at, err = s.role("upstream", "", loadCore); err != nil {
		return err
	}
	target := "http://" + at
	if s.bare.process, s.bare.host, err = s.role("bare", target, systemCore); err != nil {
		return err
	}
	s.bare.name, s.sluice.name = "bare", "sluice"
	if s.login, err = s.startSluice(&s.sluice, s.binary, "data", 4030, target); err != nil || base == "" {
		return err
	}
	s.before = &system{name: "before"}
	_, err = s.startSluice(s.before, base, "data-before", 4040, target)
	return err
}

// role starts this program again in a role.
func (s *stage) role(name, target string, core int) (*process, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	p, out, err := s.child(core, []string{roleVariable + "=" + name, "SLUICE_BENCH_TARGET=" + target}, self)
	if err != nil {
		return nil, "", err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, "", fmt.Errorf("starting %s: %w", name, err)
	}
	return p, strings.TrimSpace(line), nil
}

// child starts a program on one core.
func (s *stage) child(core int, env []string, name string, args ...string) (*process, io.Reader, error) {
	argv := append([]string{name}, args...)
	if pinned() {
		argv = append([]string{"taskset", "-c", strconv.Itoa(core)}, argv...)
	}
	p := &process{cmd: exec.Command(argv[0], argv[1:]...), out: &bytes.Buffer{}}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = p.out
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		p.stdin, err = p.cmd.StdinPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("starting %s: %w", name, err)
	}
	s.all = append(s.all, p)
	return p, out, nil
}

// pinned reports whether processes can be kept on cores of their own.
func pinned() bool {
	_, err := exec.LookPath("taskset")
	return err == nil && runtime.NumCPU() > 1
}

// pin moves a running process to a core.
func pin(pid, core int) {
	if pinned() {
		_ = exec.Command("taskset", "-a", "-cp", strconv.Itoa(core), strconv.Itoa(pid)).Run()
	}
}

// environment is Sluice's: a data folder of its own, a port and the next one for an app, and
// loopback believed about client addresses, so that each sign-in of the storm can come from an
// address of its own.
func environment(folder string, port int) []string {
	return []string{
		"DATABASE_PATH=" + folder,
		"SECRETKEY_PATH=" + folder,
		"PORT=" + strconv.Itoa(port),
		"SLUICE_APP_PORTS=" + strconv.Itoa(port+1),
		"TRUST_PROXY=loopback",
		"HOST=127.0.0.1",
	}
}

var appLine = regexp.MustCompile(`App +(http://\S+)`)

// startSluice creates a person, starts a build of the server in front of target, and signs in as a
// browser would. login is host:port of the server's own pages.
func (s *stage) startSluice(sys *system, binary, folder string, port int, target string) (login string, err error) {
	env := environment(filepath.Join(s.folder, folder), port)
	if err := createPerson(binary, env); err != nil {
		return "", err
	}
	p, out, err := s.child(systemCore, env, binary, "serve", "--protect", "generic="+target)
	if err != nil {
		return "", err
	}
	sys.process, login = p, "127.0.0.1:"+strconv.Itoa(port)
	if sys.host, err = appAddress(out); err != nil {
		return "", fmt.Errorf("starting %s: %w\n%s", sys.name, err, p.out)
	}
	sys.cookie, err = signIn(login)
	return login, err
}

// createPerson creates the superuser who signs in; more are further flags.
func createPerson(binary string, env []string, more ...string) error {
	args := append([]string{"user", "create", username, "--superuser", "--password-stdin"}, more...)
	create := exec.Command(binary, args...)
	create.Env = append(os.Environ(), env...)
	create.Stdin = strings.NewReader(password + "\n")
	if out, err := create.CombinedOutput(); err != nil {
		return fmt.Errorf("creating a person: %w\n%s", err, out)
	}
	return nil
}

// appAddress reads what Sluice prints until the app's address.
func appAddress(out io.Reader) (string, error) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := appLine.FindStringSubmatch(lines.Text()); m != nil {
			go func() {
				for lines.Scan() {
				}
			}()
			return strings.TrimPrefix(m[1], "http://"), nil
		}
	}
	return "", fmt.Errorf("it printed no address of the app: %w", io.ErrUnexpectedEOF)
}

// signIn fills in the form of the server at login and returns the session cookie.
func signIn(login string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	form := url.Values{"identifier": {username}, "password": {password}}
	req, err := http.NewRequestWithContext(
		ctx,
		http.MethodPost,
		"http://"+login+"/login",
		strings.NewReader(form.Encode()),
	)
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := (&http.Transport{}).RoundTrip(req)
	if err != nil {
		return "", err
	}
	_ = res.Body.Close()
	for _, c := range res.Cookies() {
		if strings.HasSuffix(c.Name, "sluice_session") {
			return c.Name + "=" + c.Value, nil
		}
	}
	return "", fmt.Errorf("signing in gave status %d and no session", res.StatusCode)
}
