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

// upstream is what the proxy keeps for one builder: a transport with its connections, and the
// counters with the app's name on them.
type upstream struct {
	address   string
	transport *http.Transport
	counters  counters
	objects   *flow.Objects  // whose its objects are
	creating  sync.RWMutex   // read by creations, written by imports
	finder    objects.Finder // looks for what the map does not know
}

// NewTransport is a transport to one builder. As many connections stay idle as there is
// concurrency: the two per host of http.DefaultTransport cost more than half of the throughput.
// HTTP/1.1 only, no proxy, and bodies stay as they are encoded.
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

// distrust gives up idle connections after a failure of the builder, once its answer was read. An
// error that a Python program did not expect makes some servers close the connection behind the
// answer without saying so, and whatever is sent over it next is lost.
func (u *upstream) distrust(status int) {
	if status >= http.StatusInternalServerError {
		u.transport.CloseIdleConnections()
	}
}

// bufferPool lends the buffers that answers are copied through.
type bufferPool struct{ pool sync.Pool }

// bufferSize is io.Copy's own; smaller ones are slower on large bodies.
const bufferSize = 32 << 10

// Get is httputil.BufferPool.
func (b *bufferPool) Get() []byte {
	if v, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return v[:]
	}
	return new([bufferSize]byte)[:]
}

// Put is httputil.BufferPool.
func (b *bufferPool) Put(buf []byte) {
	if len(buf) == bufferSize {
		b.pool.Put((*[bufferSize]byte)(buf))
	}
}

// silent takes the remarks of ReverseProxy; what matters of them is in the event.
var silent = log.New(io.Discard, "", 0)
