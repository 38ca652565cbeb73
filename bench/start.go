package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// startRounds is how often each build is started with an existing database.
const startRounds = 5

// noWorse is the largest permitted ratio of a figure to the previous build's: a tenth more is
// noise.
const noWorse = 1.1

// build is a program to start, and its measurements.
type build struct {
	name, binary, folder string

	cold, idle float64 // first start in ms, memory of the idle process in MB
	warm, init []float64
}

// startup measures the time from exec to the first answer, the initialization of packages, and the
// memory of an idle process. If there is a build of the previous commit, the two take turns.
func startup(s *stage, base string, t *table) error {
	builds := []*build{{name: "this build", binary: s.binary, folder: filepath.Join(s.folder, "start")}}
	if base != "" {
		builds = append(
			builds,
			&build{name: "the one before", binary: base, folder: filepath.Join(s.folder, "start-base")},
		)
	}
	for i := range 1 + startRounds {
		for _, b := range builds {
			if err := b.start(s, i == 0); err != nil {
				return fmt.Errorf("%s: %w", b.name, err)
			}
		}
	}
	now := builds[0]
	t.note("first start, with a new database, ms", "%.0f", now.cold)
	t.note("initialization of packages, ms", "%.1f", median(now.init))
	t.atMost("start to the first 200, ms", median(now.warm), 150, "%.0f")
	t.atMost("memory when idle (RSS), MB", now.idle, 43, "%.0f")
	if len(builds) > 1 {
		before := builds[1]
		fmt.Printf("  the build before: %.0f ms to the first 200, %.1f ms of initialization, %.0f MB\n",
			median(before.warm), median(before.init), before.idle)
		t.atMost("start, of the build before", median(now.warm)/median(before.warm), noWorse, "%.2f")
		t.atMost("memory when idle, of the build before", now.idle/before.idle, noWorse, "%.2f")
	}
	memory, err := residentMB(s.sluice.process.pid())
	if err != nil {
		return err
	}
	t.note("memory after the load above (RSS), MB", "%.0f", memory)
	return nil
}

// start measures one start; the first one creates the database and then idles.
func (b *build) start(s *stage, first bool) error {
	took, memory, err := startOnce(s, b.binary, b.folder, first)
	if err != nil {
		return err
	}
	if first {
		b.cold, b.idle = ms(took), memory
		return nil
	}
	b.warm = append(b.warm, ms(took))
	inits, err := initialization(b.binary)
	b.init = append(b.init, inits)
	return err
}

// initialization is the time that the init functions of all packages take, in ms, according to the
// runtime.
func initialization(binary string) (sum float64, err error) {
	cmd := exec.Command(binary, "version")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace bytes.Buffer
	cmd.Stderr = &trace
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("asking for the version: %w", err)
	}
	for line := range strings.Lines(trace.String()) {
		// init <package> @<start> ms, <time> ms clock, <bytes> bytes, <n> allocs
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[0] != "init" {
			continue
		}
		took, err := strconv.ParseFloat(fields[4], 64)
		if err != nil {
			return 0, fmt.Errorf("the trace of initialization has the line %q", line)
		}
		sum += took
	}
	return sum, nil
}

// startOnce starts a single build, waits for the first 200, optionally lets it idle to measure its
// memory, and stops it.
func startOnce(s *stage, binary, folder string, idle bool) (took time.Duration, rss float64, err error) {
	env := environment(folder, 4038)
	start := time.Now()
	p, _, err := s.child(systemCore, env, binary, "serve")
	if err != nil {
		return 0, 0, err
	}
	defer p.stop()
	page := &system{host: "127.0.0.1:4038"}
	for {
		if c, err := connect(page, "/login"); err == nil {
			err := c.get()
			c.close()
			if err == nil {
				took = time.Since(start)
				break
			}
		}
		if time.Since(start) > 10*time.Second {
			return 0, 0, fmt.Errorf("sluice did not start within 10 s\n%s", p.out)
		}
		time.Sleep(500 * time.Microsecond)
	}
	if idle {
		time.Sleep(2 * time.Second)
		rss, err = residentMB(p.pid())
	}
	return took, rss, err
}
