package guards

import (
	"context"
	"os"
	"strings"
	"testing"

	"sluice/internal/guard"
)

// largeFlow is a flow of half a megabyte with the examples' nodes, whose code is as long as real
// code.
func largeFlow(b *langflow) []byte {
	var nodes []any
	for size := 0; size < 500_000; {
		for _, name := range []string{"ChatInput", "LoopComponent", "File", "MCPTools"} {
			n := b.node(name)
			n["id"] = name + strings.Repeat("x", len(nodes)%7)
			nodes = append(nodes, n)
			size += len(marshal(n))
		}
	}
	return marshal(flowOf(nodes...))
}

func BenchmarkCode(b *testing.B) {
	up := newLangflow(b, "new")
	g := &Guard{}
	body := largeFlow(up)
	// GUARD_FLOW may name a real flow; its components need not be known.
	if name := os.Getenv("GUARD_FLOW"); name != "" {
		data, err := os.ReadFile(name)
		if err != nil {
			b.Fatal(err)
		}
		body = data
	}
	b.Run("whole", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		r := up.request(body, "code")
		for b.Loop() {
			_ = check(context.Background(), g, r)
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := guard.Parse(body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("scan", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			_ = guard.ScanObject(body, func(_, _ []byte) {})
		}
	})
}
