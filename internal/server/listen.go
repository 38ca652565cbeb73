package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"

	"sluice/internal/app"
	"sluice/internal/proxy"
)

var errNotFolder = syscall.ENOTDIR

// listeners holds one HTTP server for each address that Sluice answers on.
type listeners struct {
	host  string
	local bool // refuse every address except loopback
	log   *slog.Logger

	mu      sync.Mutex
	closed  bool
	servers map[string]*http.Server // app id, or "main"
	ports   map[string]int
	serving sync.WaitGroup
}

// open listens on a port and serves handler there.
func (l *listeners) open(name string, port int, handler http.Handler) (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(l.host, strconv.Itoa(port)))
	if err != nil {
		return 0, listenError(err, l.host, port)
	}
	if l.local {
		if err := onlyLoopback(listener); err != nil {
			return 0, errors.Join(err, listener.Close())
		}
	}
	s := &http.Server{Handler: handler, ErrorLog: slog.NewLogLogger(l.log.Handler(), slog.LevelDebug)}
	proxy.Harden(s)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, errors.Join(http.ErrServerClosed, listener.Close())
	}
	l.servers[name] = s
	l.ports[name] = listener.Addr().(*net.TCPAddr).Port
	l.serving.Go(func() {
		if err := s.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			l.log.Error("a listener ended", "name", name, "error", err)
		}
	})
	return l.ports[name], nil
}

func listenError(err error, host string, port int) error {
	address := net.JoinHostPort(host, strconv.Itoa(port))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf(
			"something else listens on %s already; stop it, or choose another port (--port, PORT)",
			address,
		)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("this user may not listen on %s; choose a port above 1023 (--port, PORT)", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("this machine has no address %s; check HOST", host)
	}
	return fmt.Errorf("listening on %s: %w", address, err)
}

// reconcile opens a listener for each app that has a port and closes those of removed apps.
func (l *listeners) reconcile(apps []*app.App, handler func(*app.App) http.Handler) {
	wanted := map[string]*app.App{}
	for _, a := range apps {
		if a.PublicURL == "" && a.Port != 0 {
			wanted[a.ID] = a
		}
	}
	l.mu.Lock()
	var gone []*http.Server
	for name, s := range l.servers {
		if name != mainListener && wanted[name] == nil {
			gone = append(gone, s)
			delete(l.servers, name)
			delete(l.ports, name)
		}
	}
	for name := range wanted {
		if l.servers[name] != nil {
			delete(wanted, name)
		}
	}
	l.mu.Unlock()
	for _, s := range gone {
		if err := s.Close(); err != nil {
			l.log.Warn("closing the listener of a removed app", "error", err)
		}
	}
	for id, a := range wanted {
		if _, err := l.open(id, a.Port, handler(a)); err != nil && !errors.Is(err, http.ErrServerClosed) {
			l.log.Error("an app cannot be reached", "app", a.Name, "error", err)
		}
	}
}

// listens reports whether an app's listener is open.
func (l *listeners) listens(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.servers[id] != nil
}

// close lets running requests finish until ctx is done, then cuts the rest, such as streams.
// streams.
func (l *listeners) close(ctx context.Context) {
	l.mu.Lock()
	l.closed = true
	servers := make([]*http.Server, 0, len(l.servers))
	for _, s := range l.servers {
		servers = append(servers, s)
	}
	l.mu.Unlock()
	var all sync.WaitGroup
	for _, s := range servers {
		all.Go(func() {
			if s.Shutdown(ctx) != nil {
				_ = s.Close()
			}
		})
	}
	all.Wait()
	l.serving.Wait()
}

// shutdownGrace is how long requests may take to finish when Sluice stops.
const shutdownGrace = 5 * time.Second
