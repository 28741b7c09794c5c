package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// figures is what one measurement gave.
type figures struct {
	rate     float64 // calls per second
	p50, p99 float64 // ms
	bad      int
	calls    int
}

// calls compares POSTs of 1 KiB of JSON at 1, 64 and 256 callers: direct, through two Go reverse
// proxies, and through two hoft sites that share folders.
func calls(d time.Duration) error {
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		return fmt.Errorf("wrk is needed (Debian: apt-get install wrk): %w", err)
	}
	b, err := newBed()
	if err != nil {
		return err
	}
	defer b.stop()
	script := filepath.Join(b.dir, "post.lua")
	if err := os.WriteFile(script, []byte(luaPost()), 0o600); err != nil {
		return err
	}
	callee, err := b.callee()
	if err != nil {
		return err
	}
	proxies, err := b.proxies(callee)
	if err != nil {
		return err
	}
	p, err := b.startPair("sites", pairOf{callee: callee})
	if err != nil {
		return err
	}
	fmt.Printf("POST of 1 KiB of JSON, %s each, same callee; two Go reverse proxies = 1\n", d)
	fmt.Printf("%7s  %-7s %9s %7s %9s %9s %6s\n", "callers", "way", "calls/s", "ratio", "p50 ms", "p99 ms", "bad")
	for _, callers := range []int{1, 64, 256} {
		var base figures
		for _, way := range []struct{ name, url string }{{"direct", callee}, {"proxies", proxies}, {"hoft", p.url}} {
			if _, err := measure(wrk, script, way.url, callers, time.Second); err != nil { // warm up
				return err
			}
			before, err := p.traffic()
			if err != nil {
				return err
			}
			f, err := measure(wrk, script, way.url, callers, d)
			if err != nil {
				return err
			}
			if way.name == "proxies" {
				base = f
			}
			ratio := "-"
			if base.rate > 0 {
				ratio = fmt.Sprintf("%.2f", f.rate/base.rate)
			}
			fmt.Printf("%7d  %-7s %9.0f %7s %9.2f %9.2f %6d\n", callers, way.name, f.rate, ratio, f.p50, f.p99, f.bad)
			if way.name == "hoft" {
				if err := p.reportTraffic(before, f.calls); err != nil {
					return err
				}
			}
		}
	}
	p.reportMemory()
	return nil
}

// luaPost makes wrk send it.
func luaPost() string {
	return "wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nwrk.body = '" + jsonBody() + "'\n"
}

// jsonBody is 1 KiB of JSON that compresses as JSON does.
func jsonBody() string {
	var sb strings.Builder
	sb.WriteString(`{"order":"7c1f0b2e","items":[`)
	for i := 0; sb.Len() < 960; i++ {
		if i > 0 {
			sb.WriteByte(',')
		}
		fmt.Fprintf(&sb, `{"sku":"A-%05d","qty":%d,"price":%d.%02d}`, i*7919%100000, i%9+1, i*37%500, i*13%100)
	}
	sb.WriteString(`],"note":"` + strings.Repeat("x", 8) + `"}`)
	return sb.String()
}

var (
	reRate = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)
	reAll  = regexp.MustCompile(`(\d+) requests in `)
	reLat  = regexp.MustCompile(`(50|99)%\s+([\d.]+)(us|ms|s)`)
	reBad  = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
	reSock = regexp.MustCompile(`Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
)

func measure(wrk, script, url string, callers int, d time.Duration) (figures, error) {
	out, err := exec.Command(wrk, "-t1", "-c"+strconv.Itoa(callers), "-d"+strconv.Itoa(int(d.Seconds()))+"s", "--timeout", "30s", "--latency", "-s", script, url+"/v2/items").CombinedOutput()
	if err != nil {
		return figures{}, fmt.Errorf("wrk: %w: %s", err, out)
	}
	var f figures
	if m := reRate.FindSubmatch(out); m != nil {
		f.rate, _ = strconv.ParseFloat(string(m[1]), 64)
	}
	if m := reAll.FindSubmatch(out); m != nil {
		f.calls, _ = strconv.Atoi(string(m[1]))
	}
	for _, m := range reLat.FindAllSubmatch(out, -1) {
		v, _ := strconv.ParseFloat(string(m[2]), 64)
		v *= map[string]float64{"us": 1e-3, "ms": 1, "s": 1e3}[string(m[3])]
		if string(m[1]) == "50" {
			f.p50 = v
		} else {
			f.p99 = v
		}
	}
	for _, re := range []*regexp.Regexp{reBad, reSock} {
		if m := re.FindSubmatch(out); m != nil {
			for _, g := range m[1:] {
				n, _ := strconv.Atoi(string(g))
				f.bad += n
			}
		}
	}
	return f, nil
}
