package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// client is one keep-alive connection that repeats one request and reads answers with as little
// work as possible.
type client struct {
	conn net.Conn
	in   *bufio.Reader
	head []byte
}

func connect(s *system, path string) (*client, error) {
	c, err := net.Dial("tcp", s.host)
	if err != nil {
		return nil, err
	}
	head := "GET " + path + " HTTP/1.1\r\nHost: " + s.host + "\r\nAccept: application/json\r\nUser-Agent: bench\r\n"
	if s.cookie != "" {
		head += "Cookie: " + s.cookie + "\r\n"
	} else {
		// The bare proxy forwards the same number of bytes.
		head += "Cookie: sluice_session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n"
	}
	return &client{conn: c, in: bufio.NewReaderSize(c, 8<<10), head: []byte(head + s.lines + "\r\n")}, nil
}

func (c *client) close() { _ = c.conn.Close() }

var (
	okLine = []byte("HTTP/1.1 20")
	noBody = []byte("HTTP/1.1 204")
	length = []byte("Content-Length: ")
)

// get sends the request once and reads the whole answer.
func (c *client) get() error {
	_ = c.conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.conn.Write(c.head); err != nil {
		return err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, okLine) {
		return fmt.Errorf("answer %q", bytes.TrimSpace(line))
	}
	n := -1
	if bytes.HasPrefix(line, noBody) {
		n = 0
	}
	for len(line) > 2 {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return err
		}
		if bytes.HasPrefix(line, length) {
			if n, err = strconv.Atoi(string(bytes.TrimSpace(line[len(length):]))); err != nil {
				return err
			}
		}
	}
	if n < 0 {
		return errors.New("an answer without Content-Length")
	}
	_, err = c.in.Discard(n)
	return err
}

// result of a load.
type result struct {
	requests int
	seconds  float64
	times    []time.Duration // sorted
	cpu      time.Duration   // of the system under test
	foreign  float64         // share of its core that other processes used
}

func (r *result) rate() float64 { return float64(r.requests) / r.seconds }

// quantile of the sorted times.
func (r *result) quantile(q float64) time.Duration {
	if len(r.times) == 0 {
		return 0
	}
	return r.times[min(int(q*float64(len(r.times))), len(r.times)-1)]
}

// closedLoop keeps conns requests in flight for a time.
func closedLoop(s *system, path string, conns int, d time.Duration) (result, error) {
	clients := make([]*client, conns)
	for i := range clients {
		c, err := connect(s, path)
		if err != nil {
			return result{}, err
		}
		defer c.close()
		clients[i] = c
	}
	before, busy := cpuTime(s.process.pid()), coreBusy(systemCore)
	start := time.Now()
	end := start.Add(d)
	var all sync.WaitGroup
	times, errs := make([][]time.Duration, conns), make([]error, conns)
	for i, c := range clients {
		all.Go(func() {
			own := make([]time.Duration, 0, 1<<14)
			for now := time.Now(); now.Before(end); {
				if errs[i] = c.get(); errs[i] != nil {
					break
				}
				after := time.Now()
				own = append(own, after.Sub(now))
				now = after
			}
			times[i] = own
		})
	}
	all.Wait()
	r := result{
		seconds: time.Since(start).Seconds(),
		cpu:     cpuTime(s.process.pid()) - before,
		times:   slices.Concat(times...),
	}
	r.foreign = max(0, (coreBusy(systemCore)-busy-r.cpu).Seconds()/r.seconds)
	slices.Sort(r.times)
	r.requests = len(r.times)
	return r, errors.Join(errs...)
}

// openLoop sends rate requests a second whether or not the earlier ones have been answered, and
// measures from the moment when each was due.
func openLoop(s *system, path string, rate int, d time.Duration) (result, error) {
	const conns = 128
	due := make(chan time.Time, rate*int(d/time.Second)+rate)
	var all sync.WaitGroup
	times, errs := make([][]time.Duration, conns), make([]error, conns)
	var failed atomic.Bool
	for i := range conns {
		c, err := connect(s, path)
		if err != nil {
			return result{}, err
		}
		defer c.close()
		all.Go(func() {
			for at := range due {
				if failed.Load() {
					continue
				}
				if errs[i] = c.get(); errs[i] != nil {
					failed.Store(true)
					continue
				}
				times[i] = append(times[i], time.Since(at))
			}
		})
	}
	before, busy := cpuTime(s.process.pid()), coreBusy(systemCore)
	pace(due, rate, d)
	all.Wait()
	r := result{seconds: d.Seconds(), times: slices.Concat(times...)}
	r.foreign = max(0, (coreBusy(systemCore)-busy-cpuTime(s.process.pid())+before).Seconds()/r.seconds)
	slices.Sort(r.times)
	r.requests = len(r.times)
	return r, errors.Join(errs...)
}

// pace sends the due times. Timers are late by up to a millisecond; that is the generator's fault
// and not counted.
func pace(due chan<- time.Time, rate int, d time.Duration) {
	start := time.Now()
	step := time.Second / time.Duration(rate)
	for next := start; next.Sub(start) < d; next = next.Add(step) {
		if wait := time.Until(next); wait > 0 {
			time.Sleep(wait)
		}
		due <- time.Now()
	}
	close(due)
}

// firstEvent is the time from sending a request for a stream to its first event.
func (c *client) firstEvent() (time.Duration, error) {
	_ = c.conn.SetDeadline(time.Now().Add(20 * time.Second))
	start := time.Now()
	if _, err := c.conn.Write(c.head); err != nil {
		return 0, err
	}
	var first time.Duration
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if first == 0 && bytes.HasPrefix(line, []byte("data: ")) {
			first = time.Since(start)
		}
		if string(line) == "0\r\n" {
			_, err := io.ReadFull(c.in, make([]byte, 2))
			return first, err
		}
	}
}
