package proxy

import (
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"sluice/internal/flow"
	"sluice/internal/objects"
)

// upstream is the proxy's state for one builder: a transport with its connections, and the counters
// of the app.
type upstream struct {
	address   string
	transport *http.Transport
	counters  counters
	objects   *flow.Objects  // the owners of its objects
	creating  sync.RWMutex   // imports hold it for writing, single creations for reading
	finder    objects.Finder // asks the builder about objects that are not in the map
}

// NewTransport returns a transport to one builder. It keeps as many idle connections as there is
// concurrency, because the two per host of http.DefaultTransport cost more than half of the
// throughput. It uses HTTP/1.1 only and no proxy, and does not decompress bodies.
func NewTransport(headerTimeout time.Duration) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		MaxIdleConns:           0,
		MaxIdleConnsPerHost:    4096,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		DisableCompression:     true,
		ResponseHeaderTimeout:  headerTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		Protocols:              protocols,
	}
}

// distrust closes idle connections after a failure of the builder, once its answer was read. After
// an unexpected error in a Python program, some servers close the connection without announcing it
// in the answer. The next request on that connection would be lost.
func (u *upstream) distrust(status int) {
	if status >= http.StatusInternalServerError {
		u.transport.CloseIdleConnections()
	}
}

// bufferPool reuses the buffers that answers are copied through.
type bufferPool struct{ pool sync.Pool }

// bufferSize is io.Copy's own; smaller ones are slower on large bodies.
const bufferSize = 32 << 10

// Get implements httputil.BufferPool.
func (b *bufferPool) Get() []byte {
	if v, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return v[:]
	}
	return new([bufferSize]byte)[:]
}

// Put implements httputil.BufferPool.
func (b *bufferPool) Put(buf []byte) {
	if len(buf) == bufferSize {
		b.pool.Put((*[bufferSize]byte)(buf))
	}
}

// silent discards the messages of ReverseProxy; the event has everything that matters.
var silent = log.New(io.Discard, "", 0)
