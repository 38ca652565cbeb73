package proxy

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the proxy's counters. Labels are bounded: app is the slug of a connected app, class
// the first digit of the status.
type metrics struct {
	requests *prometheus.CounterVec   // finished requests by app and class
	seconds  *prometheus.HistogramVec // time to the end of the answer, except streams, by app
	streams  *prometheus.GaugeVec     // open streams and upgraded connections, by app
	renewals *prometheus.CounterVec   // requests for which the builder's session had to be renewed, by app
}

func newMetrics(r prometheus.Registerer) metrics {
	m := metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_proxy_requests_total", Help: "Finished requests to an app, by class of status.",
		}, []string{"app", "class"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sluice_proxy_request_seconds",
			Help:    "Time from a request's head to the end of its answer, streams excepted.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"app"}),
		streams: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sluice_proxy_streams", Help: "Open event streams and upgraded connections.",
		}, []string{"app"}),
		renewals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_proxy_session_renewals_total",
			Help: "Requests for which the builder's session had to be renewed.",
		}, []string{"app"}),
	}
	r.MustRegister(m.requests, m.seconds, m.streams, m.renewals)
	return m
}

// counters are the metrics of one app, looked up once.
type counters struct {
	class    [5]prometheus.Counter // by status / 100 - 1
	seconds  prometheus.Observer
	streams  prometheus.Gauge
	renewals prometheus.Counter
}

func (m *metrics) of(app string) counters {
	c := counters{
		seconds:  m.seconds.WithLabelValues(app),
		streams:  m.streams.WithLabelValues(app),
		renewals: m.renewals.WithLabelValues(app),
	}
	for i := range c.class {
		c.class[i] = m.requests.WithLabelValues(app, strconv.Itoa(i+1)+"xx")
	}
	return c
}
