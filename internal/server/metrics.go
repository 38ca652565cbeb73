package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metricsListener serves /metrics on a separate address (SLUICE_METRICS_ADDR), so that users of the
// apps cannot reach it.
type metricsListener struct {
	server  *http.Server
	serving sync.WaitGroup
}

// listenMetrics opens the listener; an empty address disables it.
func listenMetrics(address string, registry *prometheus.Registry, log *slog.Logger) (*metricsListener, error) {
	if address == "" {
		return nil, nil
	}
	if err := errors.Join(registry.Register(collectors.NewGoCollector()),
		registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))); err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("SLUICE_METRICS_ADDR: listening on %s: %w", address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	m := &metricsListener{server: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}}
	m.serving.Go(func() {
		if err := m.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the metrics listener ended", "error", err)
		}
	})
	return m, nil
}

func (m *metricsListener) stop() {
	if m == nil {
		return
	}
	_ = m.server.Close()
	m.serving.Wait()
}
