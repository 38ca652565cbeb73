package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sluice/internal/builder/demo"
)

// builtIn is the built-in builder, started on a free loopback port when the first app needs it.
type builtIn struct {
	folder string
	log    *slog.Logger

	mu      sync.Mutex
	server  *http.Server
	base    *url.URL
	serving sync.WaitGroup
}

func newBuiltIn(folder string, log *slog.Logger) *builtIn { return &builtIn{folder: folder, log: log} }

// demoPause is the pause between the words of a streamed answer, so that people see them arrive.
const demoPause = 60 * time.Millisecond

// address starts the demo builder if it is not running yet.
func (d *builtIn) address() (*url.URL, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.base != nil {
		return d.base, nil
	}
	if err := os.MkdirAll(d.folder, 0o700); err != nil {
		return nil, fmt.Errorf("starting the demo builder: %w", err)
	}
	handler, err := demo.NewServer(
		demo.Config{File: filepath.Join(d.folder, "demo-flows.json"), Now: time.Now, TokenPause: demoPause},
	)
	if err != nil {
		return nil, fmt.Errorf("starting the demo builder: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the demo builder: %w", err)
	}
	d.server = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	d.base = &url.URL{Scheme: "http", Host: l.Addr().String()}
	server := d.server
	d.serving.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("the demo builder ended", "error", err)
		}
	})
	return d.base, nil
}

func (d *builtIn) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.server != nil {
		_ = d.server.Close()
		d.serving.Wait()
	}
}
