package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// inline compares bodies that travel in their message with such that travel as chunks, by size: what a call costs both sites
// together, how long it takes, and what goes through the pipe. Where the two meet is the best value of ingress.inline.
func inline(calls int, crowds, sizes []int) error {
	b, err := newBed()
	if err != nil {
		return err
	}
	defer b.stop()
	callee, err := b.callee()
	if err != nil {
		return err
	}
	message, err := b.startPair("message", pairOf{callee: callee, ingress: ", inline: 40KiB"})
	if err != nil {
		return err
	}
	chunks, err := b.startPair("chunks", pairOf{callee: callee, ingress: ", inline: 1"})
	if err != nil {
		return err
	}
	fmt.Printf("%d calls with random bodies; CPU of both sites\n", calls)
	fmt.Printf("%8s %8s   %-51s %-51s\n", "", "", "in the message", "as chunks")
	half := fmt.Sprintf("   %8s %8s %8s %8s %12s", "p50 ms", "p99 ms", "CPU ms", "files", "bytes/byte")
	fmt.Printf("%8s %8s%s%s\n", "KiB", "callers", half, half)
	for _, callers := range crowds {
		for _, kib := range sizes {
			fmt.Printf("%8d %8d", kib, callers)
			for _, p := range []*pair{message, chunks} {
				if p == message && kib > 40 { // no message holds that much
					fmt.Printf("%*s", len(half), "")
					continue
				}
				if err := p.inlineCost(kib<<10, calls, callers); err != nil {
					return err
				}
			}
			fmt.Println()
		}
	}
	return nil
}

// inlineCost makes calls and prints what one of them costs.
func (p *pair) inlineCost(size, calls, callers int) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}}
	defer client.CloseIdleConnections()
	before, err := p.cpu()
	if err != nil {
		return err
	}
	wrote, err := p.traffic()
	if err != nil {
		return err
	}
	took := make([]time.Duration, calls)
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			body := make([]byte, size)
			for i := next.Add(1) - 1; i < int64(calls) && failed.Load() == nil; i = next.Add(1) - 1 {
				_, _ = rand.Read(body) // never fails
				begun := time.Now()
				if err := drain(client, p.url, body); err != nil {
					failed.Store(&err)
				}
				took[i] = time.Since(begun)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	time.Sleep(500 * time.Millisecond) // for what the answers did not wait for
	after, err := p.cpu()
	if err != nil {
		return err
	}
	all, err := p.traffic()
	if err != nil {
		return err
	}
	slices.Sort(took)
	fmt.Printf("   %8.1f %8.1f %8.2f %8.2f %12.2f", took[calls/2].Seconds()*1e3, took[calls*99/100].Seconds()*1e3,
		(after-before).Seconds()*1e3/float64(calls), float64(all.files-wrote.files)/float64(calls), float64(all.bytes-wrote.bytes)/float64(calls*size))
	return nil
}

// cpu is what both sites have used since they began.
func (p *pair) cpu() (sum time.Duration, err error) {
	for _, c := range p.sites {
		d, err := cpuOf(c.Process.Pid)
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}

// drain posts a body of which the callee tells the length alone.
func drain(c *http.Client, url string, body []byte) error {
	resp, err := c.Post(url+"/drain", "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || string(got) != fmt.Sprintln(len(body))) {
		err = fmt.Errorf("%s: %q", resp.Status, got)
	}
	return err
}
