package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hoft/hoft/pkg/pipe/mover"
)

// faults compares calls over a pipe that loses a tenth of the files and cuts another tenth with calls over a clean one,
// in turns: what is written, and how long the slowest take. Both movers take the same time.
func faults(n int, delay time.Duration, seed uint64) error {
	b, err := newBed()
	if err != nil {
		return err
	}
	defer b.stop()
	callee, err := b.callee()
	if err != nil {
		return err
	}
	clean, err := b.carried("clean", callee, mover.Config{Kind: mover.Move, DelayMin: delay, DelayMax: delay})
	if err != nil {
		return err
	}
	defer clean.stop()
	bad, err := b.carried("bad", callee, mover.Config{Kind: mover.Move, DelayMin: delay, DelayMax: delay, Drop: 0.1, Truncate: 0.1, Seed: seed})
	if err != nil {
		return err
	}
	defer bad.stop()
	fmt.Printf("POST of 1 KiB of JSON, %d calls; a file takes %s each way; bad: 10 %% of the files are lost, 10 %% of the rest cut\n", n, delay)
	fmt.Printf("%7s  %-5s %9s %9s %9s %9s %11s %11s %6s\n", "callers", "pipe", "p50 ms", "p99 ms", "files", "bytes", "bytes/clean", "p99/clean50", "failed")
	for _, callers := range []int{1, 16, 64} {
		calls := n
		if callers == 1 {
			calls = n / 4 // one after the other takes long
		}
		var base fate
		for _, p := range []*carriedPair{clean, bad} {
			f, err := p.ask(calls, callers)
			if err != nil {
				return err
			}
			if p == clean {
				base = f
			}
			fmt.Printf("%7d  %-5s %9.1f %9.1f %9d %9d %11.2f %11.1f %6d\n", callers, p.name, f.p50, f.p99, f.wrote.files, f.wrote.bytes,
				float64(f.wrote.bytes)/float64(base.wrote.bytes), f.p99/base.p50, f.failed)
		}
	}
	return bad.reportLinks()
}

// carriedPair is a pair of sites with movers between them.
type carriedPair struct {
	*pair
	name string
	stop func()
}

func (b *bed) carried(name, callee string, c mover.Config) (*carriedPair, error) {
	p, err := b.startPair(name, pairOf{callee: callee, mover: true})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i, way := range [][2]string{{"ab", "ab-in"}, {"ba", "ba-in"}} {
		c := c
		c.From, c.To = filepath.Join(p.dir, way[0]), filepath.Join(p.dir, way[1])
		c.Seed += uint64(i)
		m, err := mover.New(c)
		if err != nil {
			cancel()
			return nil, err
		}
		wg.Go(func() { _ = m.Run(ctx) })
	}
	return &carriedPair{p, name, func() { cancel(); wg.Wait() }}, nil
}

// fate is what became of some calls.
type fate struct {
	p50, p99 float64 // ms
	wrote    written
	failed   int
}

// ask makes calls from a number of callers, the first few uncounted, and waits until nothing is written any more.
func (p *carriedPair) ask(calls, callers int) (fate, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}}
	body := jsonBody()
	for range 3 {
		if err := post(client, p.url, body); err != nil {
			return fate{}, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	before, err := p.quiet()
	if err != nil {
		return fate{}, err
	}
	took := make([]float64, calls)
	var next, failed atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(calls); i = next.Add(1) - 1 {
				begun := time.Now()
				if post(client, p.url, body) != nil {
					failed.Add(1)
				}
				took[i] = float64(time.Since(begun).Microseconds()) / 1000
			}
		})
	}
	wg.Wait()
	after, err := p.quiet()
	slices.Sort(took)
	return fate{p50: took[calls/2], p99: took[calls*99/100], failed: int(failed.Load()),
		wrote: written{after.files - before.files, after.bytes - before.bytes}}, err
}

// quiet waits until both sites have written nothing for a second, and gives what they have written.
func (p *carriedPair) quiet() (written, error) {
	last, err := p.traffic()
	for range 100 {
		time.Sleep(time.Second)
		now, err := p.traffic()
		if err != nil || now == last {
			return now, err
		}
		last = now
	}
	return last, errors.Join(err, fmt.Errorf("%s: the sites do not fall silent", p.name))
}

func post(c *http.Client, url, body string) error {
	resp, err := c.Post(url+"/v2/items", "application/json", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || !bytes.Equal(got, []byte(body))) {
		err = fmt.Errorf("status %d, %d bytes", resp.StatusCode, len(got))
	}
	return err
}

// reportLinks prints what both sites count of their link.
func (p *carriedPair) reportLinks() error {
	for _, n := range []string{"a", "b"} {
		st, err := p.status(n)
		if err != nil {
			return err
		}
		for _, peer := range st.Peers {
			c := peer.Counters
			fmt.Printf("%s site-%s: %d messages sent, %d again, %d received again; %d files written, %d lost, %d cut, %d spurious, %d ack-only, %d timeouts\n",
				p.name, n, c.Sent, c.Resent, c.Duplicates, c.Files, c.Lost, c.Cut, c.Spurious, c.AckOnly, c.Timeouts)
		}
	}
	return nil
}
