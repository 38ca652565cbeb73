package proxy

import (
	"bytes"
	"slices"
)

// drop takes top-level members out of an inspected body. All other bytes stay as they are.
func (b *heldBody) drop(keys []string) {
	spans := memberSpans(b.data, b.fields)
	kept := b.fields[:0:0]
	out := append(make([]byte, 0, len(b.data)), b.data[:spans[0].from]...)
	for i, f := range b.fields {
		if slices.Contains(keys, string(f.key)) {
			continue
		}
		if len(kept) > 0 {
			out = append(out, ',')
		}
		value := len(out) + cap(b.data) - cap(f.value) - spans[i].from
		out = append(out, b.data[spans[i].from:spans[i].to]...)
		kept = append(kept, field{f.key, out[value : value+len(f.value)]})
	}
	last := spans[len(spans)-1]
	b.data, b.fields = append(out, b.data[last.to:]...), kept
}

// span is where a member stands: from the quote of its key to the end of its value, with the blanks around it.
type span struct{ from, to int }

// memberSpans finds the top-level members of an object that was scanned. Only blanks stand between them besides the commas, and values are parts of data.
func memberSpans(data []byte, fields []field) []span {
	spans := make([]span, len(fields))
	at := bytes.IndexByte(data, '{') + 1
	for i, f := range fields {
		end := cap(data) - cap(f.value) + len(f.value)
		spans[i] = span{at, end}
		if comma := bytes.IndexByte(data[end:], ','); comma >= 0 && i < len(fields)-1 {
			spans[i].to = end + comma
		}
		at = spans[i].to + 1
	}
	return spans
}
