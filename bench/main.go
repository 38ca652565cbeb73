// Command bench compares Sluice, as a user runs it, with a bare httputil.ReverseProxy over the same
// kind of transport, in one run on one machine, and measures what a storm of sign-ins does to
// people who are signed in.
//
//	go run ./bench [-rounds 5] [-seconds 2] [-base FILE]
//
// A build of the commit before takes part in the same rounds where -base or SLUICEDEV_BENCH_BASE
// names one: requests, decisions of forward-auth, start-up and idle memory.
//
// Load generator and upstream share one core, the system under test has another one to itself,
// where taskset and a second core are available. Rounds are interleaved and only figures of the
// same round are compared; the ratio is the median. Everything listens on loopback. It exits with 1
// if a mark is missed.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

// settings of a run.
type settings struct {
	rounds  int
	seconds int
	conns   int
	base    string
}

func main() {
	if role, ok := os.LookupEnv(roleVariable); ok {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", role+":", err)
			os.Exit(1)
		}
		return
	}
	var s settings
	flag.IntVar(&s.rounds, "rounds", 5, "interleaved rounds")
	flag.IntVar(&s.seconds, "seconds", 2, "seconds of load in a round, for each side")
	flag.IntVar(&s.conns, "conns", 32, "keep-alive connections")
	flag.StringVar(
		&s.base,
		"base",
		os.Getenv("SLUICEDEV_BENCH_BASE"),
		"a build of the commit before, to measure in turns with this one",
	)
	flag.Parse()
	started := time.Now()
	missed, err := run(s)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	fmt.Printf("\n%.0f s in all.\n", time.Since(started).Seconds())
	if missed > 0 {
		fmt.Printf("%d mark(s) missed.\n", missed)
		os.Exit(1)
	}
}

// run starts everything, measures and prints; missed is the number of marks that were not reached.
func run(s settings) (missed int, err error) {
	pin(os.Getpid(), loadCore)
	var stage stage
	defer stage.close()
	if err := stage.build(); err != nil {
		return 0, err
	}
	if err := stage.start(s.base); err != nil {
		return 0, err
	}
	var t table
	fmt.Println("Throughput: 1 KiB of JSON, signed in,", s.conns, "connections,", s.rounds, "rounds")
	if err := throughput(&stage, s, &t); err != nil {
		return 0, err
	}
	fmt.Println("Forward-auth: a decision for a reverse proxy, beside an empty answer of net/http")
	if err := forwardAuth(&stage, s, &t); err != nil {
		return 0, err
	}
	fmt.Println("API keys: a call with a key, beside forwarding without a question and beside Flowise with its own key")
	if err := keys(&stage, s, &t); err != nil {
		return 0, err
	}
	fmt.Println("Streams: time to the first event")
	if err := streams(&stage, &t); err != nil {
		return 0, err
	}
	fmt.Println("Storm: 16 endless sign-ins beside 2,000 requests a second")
	if err := storm(&stage, &t); err != nil {
		return 0, err
	}
	fmt.Println("Start and memory")
	if err := startup(&stage, s.base, &t); err != nil {
		return 0, err
	}
	return t.print(os.Stdout), nil
}
