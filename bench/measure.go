package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// quiet is how much of the measured core other processes may use before a round's rates are
// discarded and the round is repeated. A competing process takes more from a process with one
// running thread than from one with two, so a disturbed ratio is meaningless.
const quiet = 0.10

// comparison collects the results of the rounds.
type comparison struct {
	rates, cpus []float64 // ratios of one round each; rates of undisturbed ones only
	before      []float64 // processor time, this build : the one before
	bare, own   []result
	disturbed   int
}

// throughput compares requests per second, p99 and processor time.
func throughput(s *stage, set settings, t *table) error {
	var c comparison
	for round := -1; round < set.rounds+c.disturbed && c.disturbed <= 2*set.rounds; round++ {
		if err := c.round(s, set, round); err != nil {
			return err
		}
	}
	p99 := func(rs []result) float64 {
		return median(each(rs, func(r result) float64 { return ms(r.quantile(.99)) }))
	}
	rate := func(rs []result) float64 { return median(each(rs, func(r result) float64 { return r.rate() })) }
	t.note("rounds undisturbed : disturbed by others", "%d : %d", len(c.rates), c.disturbed)
	t.note("requests/s, bare proxy", "%.0f", rate(c.bare))
	t.note("requests/s, Sluice, signed in", "%.0f", rate(c.own))
	if 2*len(c.rates) >= set.rounds {
		t.atLeast("requests/s, Sluice : bare", median(c.rates), 0.90, "%.2f")
	} else {
		// Processor time hardly depends on other processes.
		t.atLeast("requests per second of processor time, Sluice : bare", 1/median(c.cpus), 0.90, "%.2f")
	}
	t.note("p99 ms, bare : Sluice", "%.2f : %.2f", p99(c.bare), p99(c.own))
	t.note(
		"CPU of a request, Sluice : bare",
		"%.2f (%.1f µs)",
		median(c.cpus),
		median(each(c.own, func(r result) float64 { return r.cpuEach() })),
	)
	if s.before != nil {
		t.atMost("CPU of a request, this build : the one before", median(c.before), noWorse, "%.2f")
	}
	return nil
}

// turns measures some systems one after the other, in alternating order.
func turns(set settings, round int, path string, systems ...*system) (map[*system]result, error) {
	if round%2 == 0 {
		slices.Reverse(systems)
	}
	got := map[*system]result{}
	for _, sys := range systems {
		r, err := closedLoop(sys, path, set.conns, time.Duration(set.seconds)*time.Second)
		if err != nil {
			return nil, fmt.Errorf("load on %s: %w\n%s", sys.name, err, sys.process.out)
		}
		got[sys] = r
	}
	return got, nil
}

// and adds the previous build if it is not nil.
func and(before *system, systems ...*system) []*system {
	if before != nil {
		systems = append(systems, before)
	}
	return systems
}

// round measures all sides; the first one, -1, only warms up.
func (c *comparison) round(s *stage, set settings, round int) error {
	got, err := turns(set, round, "/api/items", and(s.before, &s.bare, &s.sluice)...)
	if err != nil || round < 0 {
		return err
	}
	b, g := got[&s.bare], got[&s.sluice]
	remark := ""
	if b.foreign > quiet || g.foreign > quiet {
		remark = "  disturbed"
	}
	fmt.Printf(
		"  round %d: bare %6.0f/s  sluice %6.0f/s  ratio %.2f  p99 %v / %v  CPU %.1f / %.1f µs  others %.0f / %.0f "+
			"%%%s\n",
		round+1,
		b.rate(),
		g.rate(),
		g.rate()/b.rate(),
		b.quantile(.99).Round(10*time.Microsecond),
		g.quantile(.99).Round(10*time.Microsecond),
		b.cpuEach(),
		g.cpuEach(),
		100*b.foreign,
		100*g.foreign,
		remark,
	)
	c.cpus = append(c.cpus, g.cpuEach()/b.cpuEach())
	if s.before != nil {
		p := got[s.before]
		fmt.Printf("           the build before %6.0f/s  CPU %.1f µs\n", p.rate(), p.cpuEach())
		c.before = append(c.before, g.cpuEach()/p.cpuEach())
	}
	c.bare, c.own = append(c.bare, b), append(c.own, g)
	if remark != "" {
		c.disturbed++
		return nil
	}
	c.rates = append(c.rates, g.rate()/b.rate())
	return nil
}

// cpuEach is the system's processor time for one request, in microseconds.
func (r result) cpuEach() float64 { return float64(r.cpu.Microseconds()) / float64(max(r.requests, 1)) }

// streams compares the time to the first event.
func streams(s *stage, t *table) error {
	const perRound, rounds = 40, 5
	var added []float64
	for range rounds {
		var median50 [2]float64
		for i, sys := range []*system{&s.bare, &s.sluice} {
			c, err := connect(sys, "/stream")
			if err != nil {
				return err
			}
			var times []float64
			for range perRound {
				d, err := c.firstEvent()
				if err != nil {
					return fmt.Errorf("stream: %w", err)
				}
				times = append(times, ms(d)*1000)
			}
			c.close()
			median50[i] = median(times)
		}
		fmt.Printf("  bare %.0f µs  sluice %.0f µs\n", median50[0], median50[1])
		added = append(added, median50[1]-median50[0])
	}
	t.atMost("first event of a stream, added to bare, µs", median(added), 1000, "%.0f")
	return nil
}

// clockTick is USER_HZ: the unit of the times in /proc, 1/100 s on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// cpuTime is the user and system time of a process (proc(5), fields 14 and 15 of stat).
func cpuTime(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var sum time.Duration
	for _, f := range fields[11:13] {
		n, _ := strconv.ParseInt(f, 10, 64)
		sum += time.Duration(n) * clockTick
	}
	return sum
}

// coreBusy is the time that a core has worked, for all processes, since it was started (proc(5),
// /proc/stat). It is 0 if processes are not pinned, because then the load cannot be attributed.
func coreBusy(core int) time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil || !pinned() {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if fields[0] != "cpu"+strconv.Itoa(core) {
			continue
		}
		var busy time.Duration
		for i, f := range fields[1:9] {
			if n, err := strconv.ParseInt(f, 10, 64); err == nil && i != 3 && i != 4 { // idle, waiting for disks
				busy += time.Duration(n) * clockTick
			}
		}
		return busy
	}
	return 0
}

func residentMB(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no VmRSS", pid)
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

func each(rs []result, f func(result) float64) []float64 {
	out := make([]float64, len(rs))
	for i, r := range rs {
		out[i] = f(r)
	}
	return out
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if len(v) == 0 {
		return 0
	}
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
