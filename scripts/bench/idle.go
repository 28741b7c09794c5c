package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// idle compares the CPU of a site whose peer is away, with an outbox that takes nothing more, with that of an idle site
// whose peer is there. Both are watched at the same time. It also prints what an idle site costs.
func idle(warm, d time.Duration, backlog int) error {
	b, err := newBed()
	if err != nil {
		return err
	}
	defer b.stop()
	callee, err := b.callee()
	if err != nil {
		return err
	}
	of := pairOf{callee: callee}
	calm, err := b.startPair("calm", of)
	if err != nil {
		return err
	}
	of.site = fmt.Sprintf("limits: {outbox_bytes: %dMiB}\n", backlog)
	of.route = ", wait: 200ms"
	alone, err := b.startPair("alone", of)
	if err != nil {
		return err
	}
	for _, p := range []*pair{calm, alone} {
		if err := post(http.DefaultClient, p.url, jsonBody()); err != nil {
			return err
		}
	}
	if err := alone.sites["site-b"].Process.Kill(); err != nil {
		return err
	}
	refused, err := alone.fill()
	if err != nil {
		return err
	}
	time.Sleep(warm)
	pairs := []*pair{calm, alone}
	var before [2]used
	for i, p := range pairs {
		if before[i], err = p.used("a"); err != nil {
			return err
		}
	}
	time.Sleep(d)
	var cost [2]used
	for i, p := range pairs {
		after, err := p.used("a")
		if err != nil {
			return err
		}
		cost[i] = used{after.cpu - before[i].cpu, written{after.wrote.files - before[i].wrote.files, after.wrote.bytes - before[i].wrote.bytes}}
	}
	st, err := alone.status("a")
	if err != nil {
		return err
	}
	perHour := float64(time.Hour) / float64(d)
	fmt.Printf("%s after %s of rest; per hour and site\n", d, warm)
	fmt.Printf("%-34s %8s %10s %10s %8s\n", "", "files", "bytes", "CPU s", "ratio")
	for i, name := range []string{"idle, the peer is there", "the peer is away, the outbox full"} {
		c := cost[i]
		fmt.Printf("%-34s %8.0f %10.0f %10.1f %8.2f\n", name, float64(c.wrote.files)*perHour, float64(c.wrote.bytes)*perHour,
			c.cpu.Seconds()*perHour, float64(c.cpu)/float64(cost[0].cpu))
	}
	folder, err := size(filepath.Join(alone.dir, "ab"))
	if err != nil {
		return err
	}
	state, err := size(filepath.Join(alone.dir, "a"))
	if err != nil {
		return err
	}
	fmt.Printf("away: %d messages of %d MiB wait (limit %d MiB); %d MiB in the state folder, %d MiB in the pipe; further calls got %s\n",
		st.Peers[0].Outbox.Messages, st.Peers[0].Outbox.Bytes>>20, backlog, state>>20, folder>>20, refused)
	return nil
}

// used is what a site has used since it began.
type used struct {
	cpu   time.Duration // user and system
	wrote written
}

func (p *pair) used(n string) (used, error) {
	w, err := p.written(n)
	if err != nil {
		return used{}, err
	}
	cpu, err := cpuOf(p.sites["site-"+n].Process.Pid)
	return used{cpu, w}, err
}

// cpuOf sums the time that the threads of a process have run, in nanoseconds: /proc/PID/stat counts in hundredths of a
// second, which is much for an idle process. Go ends no threads.
func cpuOf(pid int) (sum time.Duration, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("no threads of process %d: %w", pid, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return 0, err
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// cpuSplit is what a process has used since it began.
type cpuSplit struct{ user, sys time.Duration }

// splitOf reads it from /proc/PID/stat, in hundredths of a second (proc_pid_stat(5), fields 14 and 15).
func splitOf(pid int) (c cpuSplit, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return c, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold spaces
	f := strings.Fields(rest)
	if len(f) < 13 {
		return c, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(f))
	}
	const tick = 10 * time.Millisecond
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	sys, err2 := strconv.ParseInt(f[12], 10, 64)
	return cpuSplit{time.Duration(user) * tick, time.Duration(sys) * tick}, errors.Join(err1, err2)
}

// fill makes calls until one is refused, and says how.
func (p *pair) fill() (string, error) {
	body := make([]byte, 1<<20)
	if _, err := rand.Read(body); err != nil { // it must not compress
		return "", err
	}
	var refused atomic.Pointer[string]
	var wg sync.WaitGroup
	end := time.Now().Add(5 * time.Minute)
	for range 8 {
		wg.Go(func() {
			for refused.Load() == nil && time.Now().Before(end) {
				resp, err := http.Post(p.url+"/v2/items", "application/octet-stream", bytes.NewReader(body))
				if err != nil {
					continue
				}
				resp.Body.Close()
				if resp.StatusCode == http.StatusServiceUnavailable {
					text := fmt.Sprintf("%s, Retry-After: %s", resp.Status, resp.Header.Get("Retry-After"))
					refused.Store(&text)
				}
			}
		})
	}
	wg.Wait()
	if refused.Load() == nil {
		return "", fmt.Errorf("the outbox did not fill up within 5 minutes")
	}
	return *refused.Load(), nil
}

func size(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		i, err := e.Info()
		if os.IsNotExist(err) {
			return nil
		}
		if err == nil {
			sum += i.Size()
		}
		return err
	})
	return sum, err
}
