package proxy

import (
	"net/http"
	"time"
)

// writer is the client's side of an exchange: it counts what was sent, and gives up on a client
// that has stopped reading.
type writer struct {
	http.ResponseWriter
	status int
	bytes  int64
	stream bool
	// switched reports that the connection has left HTTP.
	switched bool
	pause    time.Duration // how long one write may take; 0 leaves it to the kernel
}

// promptBytes is how much of an answer is written before a deadline is set. Smaller answers fit
// into the socket's buffers.
const promptBytes = 64 << 10

// Unwrap serves http.ResponseController: flushing, hijacking and deadlines go directly to the
// connection.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader does not forward informational answers of the builder (103 Early Hints), because
// their headers have not been judged.
func (w *writer) WriteHeader(status int) {
	if status < 200 && status != http.StatusSwitchingProtocols {
		return
	}
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write counts bytes, and limits how long each write of a long answer can take.
func (w *writer) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if w.pause > 0 && (w.stream || w.bytes > promptBytes) {
		_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.pause))
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}
