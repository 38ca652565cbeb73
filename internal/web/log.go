package web

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

const (
	// logDelay is how long a line may wait for others, so that one system call writes them all.
	logDelay = 50 * time.Millisecond
	// logBatch is how many bytes may wait.
	logBatch = 64 << 10
)

// LogHandler is the slog.Handler of a running server. It writes the lines of requests in batches,
// because there may be tens of thousands a second, and a system call for each costs as much as a
// third of the request. It writes a warning or an error immediately, along with all earlier lines.
// Close it at the end.
type LogHandler struct {
	slog.Handler
	out   *batch
	json  bool
	plain bool // has no attributes, so lines can bypass Handler
}

// NewLogHandler returns a handler that writes JSON or text lines of at least a level to out.
func NewLogHandler(out io.Writer, json bool, level slog.Leveler) *LogHandler {
	b := &batch{out: out}
	options := &slog.HandlerOptions{Level: level}
	if json {
		return &LogHandler{slog.NewJSONHandler(b, options), b, true, true}
	}
	return &LogHandler{slog.NewTextHandler(b, options), b, false, true}
}

// Handle writes a record.
func (h *LogHandler) Handle(ctx context.Context, r slog.Record) error {
	err := h.Handler.Handle(ctx, r)
	if r.Level >= slog.LevelWarn {
		h.out.flush()
	}
	return err
}

// WithAttrs implements slog.Handler; the result writes to the same place.
func (h *LogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &LogHandler{h.Handler.WithAttrs(attrs), h.out, h.json, false}
}

// WithGroup implements slog.Handler; the result writes to the same place.
func (h *LogHandler) WithGroup(name string) slog.Handler {
	return &LogHandler{h.Handler.WithGroup(name), h.out, h.json, false}
}

// Close writes all waiting lines. The handler remains usable.
func (h *LogHandler) Close() { h.out.flush() }

// event writes the line of a request as Handler would, in a quarter of the time. It returns false,
// and writes nothing, for an event with a value that needs quoting or escaping, which slog handles.
func (h *LogHandler) event(e *Event, level slog.Level, now time.Time) bool {
	if !h.plain || e.Cause != nil || !bare(e.ID) || !bare(e.Front) || !bare(e.Method) {
		return false
	}
	texts := e.texts()
	for i := range texts {
		if texts[i].value != "" && !bare(texts[i].value) {
			return false
		}
	}
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	l := lineWriter{b: h.out.waiting.AvailableBuffer(), json: h.json}
	l.begin(level, now)
	l.text("id", e.ID)
	l.text("front", e.Front)
	l.text("method", e.Method)
	l.key("status")
	l.b = strconv.AppendInt(l.b, int64(e.Status), 10)
	l.key("ms")
	l.b = strconv.AppendFloat(l.b, e.ms(now), 'f', -1, 64)
	l.key("bytes")
	l.b = strconv.AppendInt(l.b, e.Bytes, 10)
	for i := range texts {
		if texts[i].value != "" {
			l.text(texts[i].key, texts[i].value)
		}
	}
	h.out.add(l.end())
	return true
}

// bare reports whether a value needs no quoting, in text and in JSON, and is short enough.
func bare(s string) bool {
	if s == "" || len(s) > maxLogged {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ' || c >= 0x7f, c == '"', c == '\\', c == '=', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}

// lineWriter writes one line in the format of slog's handlers.
type lineWriter struct {
	b    []byte
	json bool
}

func (l *lineWriter) begin(level slog.Level, now time.Time) {
	if l.json {
		l.b = now.AppendFormat(append(l.b, `{"time":"`...), time.RFC3339Nano)
		l.b = append(append(l.b, `","level":"`...), level.String()...)
		l.b = append(append(append(l.b, `","msg":"`...), message...), '"')
		return
	}
	l.b = now.AppendFormat(append(l.b, "time="...), "2006-01-02T15:04:05.000Z07:00")
	l.b = append(append(l.b, " level="...), level.String()...)
	l.b = append(append(l.b, " msg="...), message...)
}

func (l *lineWriter) key(k string) {
	if l.json {
		l.b = append(append(append(l.b, `,"`...), k...), `":`...)
		return
	}
	l.b = append(append(append(l.b, ' '), k...), '=')
}

func (l *lineWriter) text(k, v string) {
	l.key(k)
	if l.json {
		l.b = append(append(append(l.b, '"'), v...), '"')
		return
	}
	l.b = append(l.b, v...)
}

func (l *lineWriter) end() []byte {
	if l.json {
		l.b = append(l.b, '}')
	}
	return append(l.b, '\n')
}

// batch collects lines.
type batch struct {
	out io.Writer

	mu      sync.Mutex
	waiting bytes.Buffer
	timer   *time.Timer
}

// Write takes whole lines. Lines that the log's own file or pipe refuses are lost, because there is
// nowhere to report them.
func (b *batch) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(line)
	return len(line), nil
}

// add takes a line; the caller holds mu.
func (b *batch) add(line []byte) {
	if b.waiting.Len() == 0 {
		if b.timer == nil {
			b.timer = time.AfterFunc(logDelay, b.flush)
		} else {
			b.timer.Reset(logDelay)
		}
	}
	b.waiting.Write(line)
	if b.waiting.Len() >= logBatch {
		b.write()
	}
}

func (b *batch) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.write()
}

func (b *batch) write() {
	if b.waiting.Len() > 0 {
		_, _ = b.out.Write(b.waiting.Bytes())
		b.waiting.Reset()
	}
}
