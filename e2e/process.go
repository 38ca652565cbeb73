//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// stopGrace is how long a child may take to exit after SIGTERM. A Langflow on a busy machine takes
// half a minute.
const stopGrace = time.Minute

// process is a child that is killed with the test, or with the test binary if that dies first.
type process struct {
	name string
	log  string // path of the file with all its output
	cmd  *exec.Cmd
	done chan struct{}
}

// startProcess starts cmd with its output in a file. It is stopped at the end of the test; after a
// failure the last lines of its output are shown.
func startProcess(t testing.TB, name string, cmd *exec.Cmd) *process {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	p := &process{name: name, log: out.Name(), cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		// The kernel sends Pdeathsig when the forking thread exits, so that thread has to live as
		// long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		defer out.Close()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // the result is in cmd.ProcessState
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("the end of the output of %s:\n%s", name, p.tail(40))
		}
	})
	return p
}

// running reports whether the child is still running.
func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// stop asks the child to exit, and waits for it.
func (p *process) stop(t testing.TB) {
	t.Helper()
	if !p.running() {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopGrace):
		t.Errorf("%s did not end within %s of SIGTERM", p.name, stopGrace)
		p.kill()
	}
}

// kill kills the child immediately, as a power cut would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// output returns everything that the child has printed so far.
func (p *process) output() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return fmt.Sprintf("(no output: %v)", err)
	}
	return string(b)
}

// tail returns the last lines of the output.
func (p *process) tail(lines int) string {
	all := bytes.Split(bytes.TrimSpace([]byte(p.output())), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

// until waits until cond holds. It fails the test if the child exits first, or if the suite's time
// is over.
func (p *process) until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	await(t, what+" of "+p.name, cond, func() string {
		if p.running() {
			return ""
		}
		return "it has ended:\n" + p.tail(40)
	})
}

// freePort returns a loopback port that is free right now.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
