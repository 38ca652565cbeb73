package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A reverse proxy keeps its connections to Sluice and asks about every request over them. net/http spends more on such a sub-request than the decision costs: a goroutine that watches for the end of the
// connection, timers, sorting of headers. So the connection is taken over from net/http at its first sub-request, and what comes after is answered here: requests without a body, of one form, parsed by
// http.ReadRequest. Everything else that comes over the connection is given back to net/http, with its bytes unread.

const (
	// askHead is the longest head of a request that is read here; longer ones are net/http's matter.
	askHead = 28 << 10
	// askIdle is how long a connection may be silent, askStep how often that is set anew: setting it costs as much as reading.
	askIdle, askStep = 2 * time.Minute, 10 * time.Second
	// askLeast is how many bytes net/http waits for before it reads a request.
	askLeast = 4
)

// askLoop answers the sub-requests of one connection.
type askLoop struct {
	p      *Proxy
	conn   net.Conn
	remote string
	front  *askFront

	buffer     []byte
	start, end int // what has been read and not used
	until      time.Time
	head       bytes.Reader
	parser     *bufio.Reader
	answer     askAnswer
	out        []byte
}

// askFront is what the loops of one handler share: where connections go back to, and who is open.
type askFront struct {
	server *http.Server
	mu     sync.Mutex
	open   map[*askLoop]struct{}
	closed bool
	done   sync.WaitGroup
}

func (p *Proxy) newAskFront(h http.Handler) *askFront {
	f := &askFront{server: &http.Server{Handler: h, ErrorLog: silent}, open: map[*askLoop]struct{}{}}
	Harden(f.server)
	p.fronts.Store(f, true)
	return f
}

// close ends all connections. Answers that are on their way are finished.
func (f *askFront) close() {
	f.mu.Lock()
	f.closed = true
	for l := range f.open {
		_ = l.conn.SetReadDeadline(time.Unix(1, 0))
	}
	f.mu.Unlock()
	f.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if f.server.Shutdown(ctx) != nil {
		_ = f.server.Close()
	}
}

// add notes an open loop; false means that there are to be no more.
func (f *askFront) add(l *askLoop) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.open[l] = struct{}{}
	f.done.Add(1)
	return true
}

func (f *askFront) remove(l *askLoop) {
	f.mu.Lock()
	delete(f.open, l)
	f.mu.Unlock()
	f.done.Done()
}

// ask answers a sub-request that net/http has read, and takes its connection over if there can be more of them on it.
func (f *askFront) ask(p *Proxy, w http.ResponseWriter, r *http.Request) {
	hijacker, ok := w.(http.Hijacker)
	if !ok || r.TLS != nil || !plainAsk(r) || r.ContentLength != 0 {
		p.serveForwardAuth(w, r)
		return
	}
	l := &askLoop{p: p, front: f, remote: r.RemoteAddr}
	if !f.add(l) {
		p.serveForwardAuth(w, r)
		return
	}
	defer f.remove(l)
	conn, rest, err := hijacker.Hijack()
	if err != nil {
		p.serveForwardAuth(w, r)
		return
	}
	l.conn = conn
	defer l.close()
	l.begin(rest.Reader)
	if l.reply(r) {
		l.run()
	}
}

// plainAsk reports whether a request is of the form that is answered here.
func plainAsk(r *http.Request) bool {
	h := r.Header
	return r.Method == http.MethodGet && r.ProtoMajor == 1 && r.ProtoMinor == 1 && r.TransferEncoding == nil && !r.Close && hostOnly(r.Host) && r.Host != "" &&
		h["Connection"] == nil && h["Expect"] == nil && h["Content-Length"] == nil && h["Trailer"] == nil
}

// begin takes what net/http has read already.
func (l *askLoop) begin(read *bufio.Reader) {
	waiting, _ := read.Peek(read.Buffered())
	l.buffer = make([]byte, max(4<<10, len(waiting)))
	l.end = copy(l.buffer, waiting)
	l.parser = bufio.NewReader(&l.head)
	l.answer.header = http.Header{}
}

func (l *askLoop) close() {
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

func (l *askLoop) run() {
	for {
		head, err := l.next()
		switch {
		case errors.Is(err, errLongHead), errors.Is(err, io.EOF) && l.end-l.start >= askLeast:
			l.giveBack()
			return
		case err != nil:
			return
		}
		r := l.parse(head)
		if r == nil || !l.p.asksAbout(r) {
			l.giveBack()
			return
		}
		l.start += len(head)
		if !l.reply(r) {
			return
		}
	}
}

var errLongHead = errors.New("the head is long")

// endOf is where a head ends, which is after its first empty line; 0 if that has not come. Lines may end as net/http takes them, with or without a carriage return.
func endOf(b []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return 0
		}
		at += i + 1
		switch {
		case at < len(b) && b[at] == '\n':
			return at + 1
		case at+1 < len(b) && b[at] == '\r' && b[at+1] == '\n':
			return at + 2
		}
	}
}

// next waits for a whole head and returns it with its last empty line. It is not used up yet.
func (l *askLoop) next() ([]byte, error) {
	for {
		waiting := l.buffer[l.start:l.end]
		if n := endOf(waiting); n > 0 && len(waiting) >= askLeast {
			return waiting[:n], nil
		}
		if len(waiting) >= askHead {
			return nil, errLongHead
		}
		l.room()
		if err := l.patience(); err != nil {
			return nil, err
		}
		n, err := l.conn.Read(l.buffer[l.end:])
		l.end += n
		if err != nil {
			return nil, err
		}
	}
}

// room makes space behind what is waiting.
func (l *askLoop) room() {
	if l.start > 0 {
		l.end = copy(l.buffer, l.buffer[l.start:l.end])
		l.start = 0
	}
	if l.end == len(l.buffer) {
		l.buffer = append(l.buffer, make([]byte, len(l.buffer))...)
	}
}

// patience sets how long the other side may take to send or to receive. When the loop is to end it may take no time at all.
func (l *askLoop) patience() error {
	now := time.Now()
	if l.until.Sub(now) > askIdle-askStep {
		return nil
	}
	l.front.mu.Lock()
	defer l.front.mu.Unlock()
	if l.front.closed {
		return net.ErrClosed
	}
	l.until = now.Add(askIdle)
	return l.conn.SetDeadline(l.until)
}

// parse reads a head as net/http would. It returns nil for everything of which net/http has to say what is to be done.
func (l *askLoop) parse(head []byte) *http.Request {
	if !plainHead(head) {
		return nil
	}
	l.head.Reset(head)
	l.parser.Reset(&l.head)
	r, err := http.ReadRequest(l.parser)
	if err != nil || l.head.Len() > 0 || l.parser.Buffered() > 0 || !plainAsk(r) || r.ContentLength != 0 {
		return nil
	}
	r.RemoteAddr = l.remote
	return r
}

// plainHead reports whether a head names one host and is made of lines that nobody reads in two ways: no control characters, no line that ends with a line feed alone, none that is folded, and names of
// headers that are tokens (RFC 9110 section 5.6.2).
func plainHead(head []byte) bool {
	hosts := 0
	for first := true; len(head) > 0; first = false {
		i := bytes.IndexByte(head, '\n')
		if i < 1 || head[i-1] != '\r' {
			return false
		}
		line := head[:i-1]
		head = head[i+1:]
		for _, c := range line {
			if c < ' ' && c != '\t' || c == 0x7f {
				return false
			}
		}
		if first || len(head) == 0 {
			continue
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 1 || !token(line[:colon]) {
			return false
		}
		if colon == 4 && bytes.EqualFold(line[:4], []byte("host")) {
			hosts++
		}
	}
	return hosts == 1
}

func token(name []byte) bool {
	for _, c := range name {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return true
}

// giveBack lets net/http go on with the connection, as if what is waiting had just arrived.
func (l *askLoop) giveBack() {
	if l.conn.SetDeadline(time.Time{}) != nil {
		return
	}
	c := &resumed{Conn: l.conn, waiting: bytes.Clone(l.buffer[l.start:l.end])}
	if before, ok := l.conn.(*resumed); ok && len(before.waiting) == 0 {
		c.Conn = before.Conn
	}
	one := &oneConn{conn: c}
	_ = l.front.server.Serve(one) // it ends with io.EOF as soon as it has the connection, or without it when all is over
	if one.conn == nil {
		l.conn = nil
	}
}

// resumed is a connection with bytes in front of what is still to come.
type resumed struct {
	net.Conn
	waiting []byte
}

// Read gives what is waiting first.
func (c *resumed) Read(b []byte) (int, error) {
	if len(c.waiting) > 0 {
		n := copy(b, c.waiting)
		c.waiting = c.waiting[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// CloseWrite is how net/http ends what it has refused, so that the refusal arrives.
func (c *resumed) CloseWrite() error {
	if tcp, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return tcp.CloseWrite()
	}
	return nil
}

// oneConn is a listener that accepts one connection and no more.
type oneConn struct{ conn net.Conn }

// Accept gives the connection, then io.EOF.
func (o *oneConn) Accept() (net.Conn, error) {
	c := o.conn
	if c == nil {
		return nil, io.EOF
	}
	o.conn = nil
	return c, nil
}

// Close does nothing: the connection stays open.
func (o *oneConn) Close() error { return nil }

// Addr is that of the connection, as long as it has not been given.
func (o *oneConn) Addr() net.Addr {
	if o.conn == nil {
		return &net.TCPAddr{}
	}
	return o.conn.LocalAddr()
}

// reply answers one sub-request with one write; it reports whether more may follow.
func (l *askLoop) reply(r *http.Request) bool {
	a := &l.answer
	a.reset()
	l.p.serveForwardAuth(a, r)
	l.out = a.append(l.out[:0], l.p.cfg.Now())
	_, err := l.conn.Write(l.out)
	return err == nil && a.header["Connection"] == nil
}

// askAnswer is an http.ResponseWriter that keeps an answer until it is complete.
type askAnswer struct {
	header http.Header
	ready  []byte // header lines as they are sent
	status int
	body   []byte
}

func (a *askAnswer) reset() {
	clear(a.header)
	a.ready, a.status, a.body = nil, 0, a.body[:0]
}

// Header is http.ResponseWriter's.
func (a *askAnswer) Header() http.Header { return a.header }

// WriteHeader keeps the first final status.
func (a *askAnswer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
}

// Write adds to the body.
func (a *askAnswer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, b...)
	return len(b), nil
}

// append writes the answer as it is sent (RFC 9112 section 6).
func (a *askAnswer) append(out []byte, now time.Time) []byte {
	a.WriteHeader(http.StatusOK)
	out = append(strconv.AppendInt(append(out, "HTTP/1.1 "...), int64(a.status), 10), ' ')
	out = append(append(out, http.StatusText(a.status)...), "\r\nDate: "...)
	out = append(now.UTC().AppendFormat(out, http.TimeFormat), "\r\n"...)
	out = append(out, a.ready...)
	for name, values := range a.header {
		if name == "Content-Length" || name == "Transfer-Encoding" || name == "Date" {
			continue
		}
		for _, value := range values {
			out = appendLine(out, name, value)
		}
	}
	if a.status != http.StatusNoContent {
		out = append(strconv.AppendInt(append(out, "Content-Length: "...), int64(len(a.body)), 10), "\r\n"...)
	}
	return append(append(out, "\r\n"...), a.body...)
}

var noLines = strings.NewReplacer("\r", " ", "\n", " ")

// appendLine writes one header line. As with net/http, a value cannot begin another line.
func appendLine(out []byte, name, value string) []byte {
	if strings.IndexByte(value, '\n') >= 0 || strings.IndexByte(value, '\r') >= 0 {
		value = noLines.Replace(value)
	}
	return append(append(append(append(out, name...), ": "...), value...), "\r\n"...)
}
