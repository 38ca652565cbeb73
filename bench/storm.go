package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	stormClients = 16
	stormRate    = 2000
	calmFor      = 4 * time.Second
	stormFor     = 6 * time.Second
)

// storm measures the p99 of signed-in traffic while attackers try passwords without pause, against
// the p99 in the calm just before.
func storm(s *stage, t *table) error {
	if _, err := openLoop(&s.sluice, "/api/items", stormRate, time.Second); err != nil { // warms up
		return err
	}
	var ratios, disturbed []float64
	var last tally
	for try := 0; try < 5 && len(ratios) < 3; try++ {
		calm, wild, err := last.pair(s)
		if err != nil {
			return err
		}
		if last.hashed.Load() == 0 {
			return errors.New("no sign-in of the storm was decided, so that it proves nothing")
		}
		ratio, remark := ms(wild.quantile(.99))/ms(calm.quantile(.99)), ""
		if calm.foreign > quiet || wild.foreign > quiet {
			disturbed, remark = append(disturbed, ratio), ", disturbed"
		} else {
			ratios = append(ratios, ratio)
		}
		fmt.Printf(
			"  p99 calm %v, storm %v; p50 %v, %v; sign-ins %s%s\n",
			calm.quantile(.99).Round(10*time.Microsecond),
			wild.quantile(.99).
				Round(10*time.Microsecond),
			calm.quantile(.5).Round(time.Microsecond),
			wild.quantile(.5).Round(time.Microsecond),
			&last,
			remark,
		)
	}
	t.note("storms without : with others on the core", "%d : %d", len(ratios), len(disturbed))
	if len(ratios) == 0 {
		ratios = disturbed
	}
	t.atMost("p99 in a storm of sign-ins : calm", median(ratios), 5, "%.1f")
	t.note("sign-ins refused after hashing : postponed", "%d : %d", last.hashed.Load(), last.putOff.Load())
	return nil
}

// pair measures a calm and a storm, one directly after the other.
func (t *tally) pair(s *stage) (calm, wild result, err error) {
	if calm, err = openLoop(&s.sluice, "/api/items", stormRate, calmFor); err != nil {
		return calm, wild, fmt.Errorf("calm: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := t.start(ctx, s.login)
	time.Sleep(500 * time.Millisecond)
	if wild, err = openLoop(&s.sluice, "/api/items", stormRate, stormFor); err != nil {
		err = fmt.Errorf("storm: %w", err)
	}
	stop()
	<-done
	return calm, wild, err
}

// tally counts the answers of a storm.
type tally struct{ hashed, putOff, other atomic.Int64 }

func (t *tally) String() string {
	return fmt.Sprintf("%d decided, %d postponed, %d other", t.hashed.Load(), t.putOff.Load(), t.other.Load())
}

// start runs the clients until ctx is done; the channel is closed when all have stopped.
func (t *tally) start(ctx context.Context, host string) <-chan struct{} {
	t.hashed.Store(0)
	t.putOff.Store(0)
	t.other.Store(0)
	var all sync.WaitGroup
	for range stormClients {
		all.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			for ctx.Err() == nil {
				t.try(ctx, transport, host)
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	return done
}

// try sends one wrong password, each for another account from another address, so that limits on
// guessing do not spare the server.
func (t *tally) try(ctx context.Context, transport *http.Transport, host string) {
	form := url.Values{
		"identifier": {fmt.Sprintf("user%d", rand.Uint32())},
		"password":   {"wrong password of the storm"},
	}
	req, err := http.NewRequestWithContext(
		ctx,
		http.MethodPost,
		"http://"+host+"/login",
		strings.NewReader(form.Encode()),
	)
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	n := rand.Uint32()
	req.Header.Set("X-Forwarded-For", net.IPv4(byte(n>>24|1), byte(n>>16), byte(n>>8), byte(n)).String())
	res, err := transport.RoundTrip(req)
	if err != nil {
		if ctx.Err() == nil {
			t.other.Add(1)
		}
		return
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	switch res.StatusCode {
	case http.StatusUnauthorized:
		t.hashed.Add(1)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		t.putOff.Add(1)
	default:
		t.other.Add(1)
	}
}
