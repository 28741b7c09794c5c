package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bulk sends one large body each way that is there: to a copy on the disk, through two Go reverse proxies, through two
// hoft sites that share folders with default settings, and through NNCP. Then a body of JSON lines, the same body again, and
// a changed copy.
//
// With alone hoft is measured and nothing beside it: for work on hoft, where CPU seconds are what to compare.
// Sites with pipe.private are measured after those with default settings, or, with private, alone. With apart, which is a
// folder on another file system, they are measured with their pipe there instead: then packs are copied, where the first
// ones clone them.
func bulk(mib int, alone, private bool, apart string, bodies int) error {
	b, err := newBed()
	if err != nil {
		return err
	}
	defer b.stop()
	body, lines, changed := filepath.Join(b.dir, "random"), filepath.Join(b.dir, "lines"), filepath.Join(b.dir, "changed")
	size := int64(mib) << 20
	if !alone {
		if err := makeBodies(size, body, lines, changed); err != nil {
			return err
		}
	}
	callee, err := b.callee()
	if err != nil {
		return err
	}
	site := ""
	if mib > 4<<10 { // the store holds all of a body that is under way, by default 10 GiB
		site = fmt.Sprintf("chunks: {max_bytes: %dMiB}\n", 2*mib)
	}
	shared := pairOf{callee: callee, site: site}
	byName := pairOf{callee: callee, pipe: ", private: true", site: site}
	if alone && apart != "" {
		folders, err := os.MkdirTemp(apart, "hoft-bench-")
		if err != nil {
			return err
		}
		defer func() { b.stop(); os.RemoveAll(folders) }() // sites would say that their pipe is gone
		elsewhere := pairOf{callee: callee, folders: folders, site: site}
		return errors.Join(b.uploadAlone("default settings", "pair", shared, size, body, bodies),
			b.uploadAlone("the pipe on another file system", "apart", elsewhere, size, body, bodies))
	}
	if alone {
		if !private {
			if err := b.uploadAlone("default settings", "pair", shared, size, body, bodies); err != nil {
				return err
			}
		}
		return b.uploadAlone("pipe.private", "private", byName, size, body, bodies)
	}
	proxied, err := b.proxies(callee)
	if err != nil {
		return err
	}
	p, err := b.startPair("pair", shared)
	if err != nil {
		return err
	}
	linking, err := b.startPair("private", byName)
	if err != nil {
		return err
	}
	idle, err := smallP50(p.url, 200, nil)
	if err != nil {
		return err
	}

	copied, err := bestCopy(body, filepath.Join(b.dir, "copy"))
	if err != nil {
		return err
	}
	other, missing := nncp(b.dir, body)
	var proxies, hoft, linked, packets time.Duration
	for range 3 { // best of three, in turn, so that all see the same machine
		if proxies, err = better(proxies, func() (time.Duration, error) { return upload(proxied, body) }); err != nil {
			return err
		}
		if err := freshBytes(body, size); err != nil { // or only the first time would send it
			return err
		}
		if hoft, err = better(hoft, func() (time.Duration, error) { return upload(p.url, body) }); err != nil {
			return err
		}
		if linked, err = better(linked, func() (time.Duration, error) { return upload(linking.url, body) }); err != nil {
			return err
		}
		if missing == nil {
			if packets, err = better(packets, other); err != nil {
				return err
			}
		}
	}
	fmt.Printf("%d MiB of random data, from the first byte of the upload until the callee has answered; best of three in turn\n", mib)
	row := func(what string, d time.Duration) {
		fmt.Printf("%-40s %8.2f s %8.0f MB/s   hoft's rate is %.2f of it, with pipe.private %.2f\n", what, d.Seconds(), float64(size)/1e6/d.Seconds(),
			d.Seconds()/hoft.Seconds(), d.Seconds()/linked.Seconds())
	}
	row("cp + fsync", copied)
	row("two Go reverse proxies in a row", proxies)
	row("hoft, shared folder, default settings", hoft)
	row("hoft, the same with pipe.private", linked)
	if missing != nil {
		fmt.Printf("NNCP (Debian: nncp) was not measured: %v\n", missing)
	} else {
		row("NNCP: file, xfer, toss", packets)
	}
	return p.bulkBytes(size, idle, body, lines, changed)
}

// uploadAlone starts a pair of sites and uploads bodies through it.
func (b *bed) uploadAlone(what, name string, how pairOf, size int64, body string, bodies int) error {
	p, err := b.startPair(name, how)
	if err != nil {
		return err
	}
	fmt.Println(what)
	return p.uploads(size, body, bodies)
}

// uploads sends some bodies and prints for each how long it took and what CPU both sites used for it. The sites
// have a moment after each to finish what the answer did not wait for.
func (p *pair) uploads(size int64, body string, bodies int) error {
	for range bodies {
		if err := freshBytes(body, size); err != nil {
			return err
		}
		var before [2]cpuSplit
		var err error
		for i, n := range []string{"a", "b"} {
			if before[i], err = splitOf(p.sites["site-"+n].Process.Pid); err != nil {
				return err
			}
		}
		took, err := upload(p.url, body)
		if err != nil {
			return err
		}
		fmt.Printf("%.2f s", took.Seconds())
		time.Sleep(time.Second)
		for i, n := range []string{"a", "b"} {
			c, err := splitOf(p.sites["site-"+n].Process.Pid)
			if err != nil {
				return err
			}
			fmt.Printf("   site-%s: user %.2f s, sys %.2f s", n, (c.user - before[i].user).Seconds(), (c.sys - before[i].sys).Seconds())
		}
		fmt.Println()
	}
	p.reportMemory()
	return nil
}

// bulkBytes measures what travels for bodies of several kinds, and small calls meanwhile.
func (p *pair) bulkBytes(size int64, idle time.Duration, body, lines, changed string) error {
	if err := freshBytes(body, size); err != nil {
		return err
	}
	var busy time.Duration
	for _, c := range []struct{ what, file string }{
		{"random data", body}, {"the same again", body}, {"with 1 MB inserted in the middle", changed}, {"JSON lines", lines},
	} {
		if c.file == changed {
			if err := insert(body, changed); err != nil {
				return err
			}
		}
		before, err := p.traffic()
		if err != nil {
			return err
		}
		done := make(chan struct{})
		small := make(chan time.Duration, 1)
		if c.what == "random data" {
			go func() {
				p50, err := smallP50(p.url, 1<<20, done)
				if err != nil {
					fmt.Println("small calls:", err)
				}
				small <- p50
			}()
		} else {
			small <- 0
		}
		_, err = upload(p.url, c.file)
		close(done)
		if p50 := <-small; p50 > 0 {
			busy = p50
		}
		if err != nil {
			return err
		}
		after, err := p.traffic()
		if err != nil {
			return err
		}
		info, err := os.Stat(c.file)
		if err != nil {
			return err
		}
		fmt.Printf("%-40s %8.4f bytes in the pipe per body byte, %d files\n", c.what, float64(after.bytes-before.bytes)/float64(info.Size()), after.files-before.files)
	}
	fmt.Printf("small calls: p50 %.1f ms idle, %.1f ms while the upload runs: %.1f times\n", idle.Seconds()*1e3, busy.Seconds()*1e3, busy.Seconds()/idle.Seconds())
	p.reportMemory()
	return nil
}

// better runs f and gives the smaller of its time and d; d is 0 at first.
func better(d time.Duration, f func() (time.Duration, error)) (time.Duration, error) {
	got, err := f()
	if d == 0 || got < d {
		d = got
	}
	return d, err
}

// makeBodies writes random data and JSON lines; the changed copy is made later.
func makeBodies(size int64, body, lines, _ string) error {
	if err := freshBytes(body, size); err != nil {
		return err
	}
	f, err := os.Create(lines)
	if err != nil {
		return err
	}
	defer f.Close()
	w, r := bufio.NewWriterSize(f, 1<<20), rand.New(rand.NewPCG(1, 2))
	for n, i := int64(0), 0; n < size; i++ {
		k, err := fmt.Fprintf(w, `{"id":"%08x-%04x","at":"2026-11-%02dT%02d:%02d:%02d.%03dZ","customer":%d,"state":"%s","items":[{"sku":"A-%05d","qty":%d,"price":%d.%02d},{"sku":"B-%05d","qty":%d,"price":%d.%02d}],"note":"deliver to the back door"}`+"\n",
			r.Uint32(), i&0xffff, 1+i%28, i%24, i%60, r.IntN(60), r.IntN(1000), r.IntN(1e6), []string{"open", "paid", "sent", "returned"}[r.IntN(4)],
			r.IntN(1e5), r.IntN(9)+1, r.IntN(500), r.IntN(100), r.IntN(1e5), r.IntN(9)+1, r.IntN(500), r.IntN(100))
		if err != nil {
			return err
		}
		n += int64(k)
	}
	return w.Flush()
}

// freshBytes overwrites a file with new random data, and leaves it in the page cache.
func freshBytes(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rand.Uint32())
	}
	if _, err := io.Copy(f, io.LimitReader(rand.NewChaCha8(seed), size)); err != nil {
		return err
	}
	return f.Sync() // or its write-back would fall into the measurement
}

// insert copies a file with a million new bytes in its middle.
func insert(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	half := info.Size() / 2
	for _, r := range []io.Reader{io.LimitReader(in, half), io.LimitReader(rand.NewChaCha8([32]byte{9}), 1_000_000), in} {
		if _, err := io.Copy(out, r); err != nil {
			return err
		}
	}
	return out.Sync()
}

// bestCopy gives the best of three cp and fsync.
func bestCopy(from, to string) (best time.Duration, err error) {
	for range 3 {
		best, err = better(best, func() (time.Duration, error) {
			_ = os.Remove(to) // a fresh file each time
			begin := time.Now()
			if out, err := exec.Command("cp", "--reflink=never", from, to).CombinedOutput(); err != nil {
				return 0, fmt.Errorf("cp: %w: %s", err, out)
			}
			f, err := os.OpenFile(to, os.O_WRONLY, 0)
			if err != nil {
				return 0, err
			}
			defer f.Close()
			err = f.Sync()
			return time.Since(begin), err
		})
		if err != nil {
			return 0, err
		}
	}
	return best, os.Remove(to)
}

// upload posts a file and gives the time until the callee has answered that it counted all of it.
func upload(base, path string) (time.Duration, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	req, err := http.NewRequest(http.MethodPost, base+"/drain", f)
	if err != nil {
		return 0, err
	}
	req.ContentLength = info.Size()
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if strings.TrimSpace(string(got)) != strconv.FormatInt(info.Size(), 10) {
		return 0, fmt.Errorf("%s answers %s with %q", base, resp.Status, got)
	}
	return time.Since(begin), nil
}

// smallP50 makes calls of 1 KiB, one after the other, until n are made or done is closed, and gives their median.
func smallP50(base string, n int, done <-chan struct{}) (time.Duration, error) {
	body := bytes.Repeat([]byte(`{"order":1}`), 93)
	var took []time.Duration
	for range n {
		select {
		case <-done:
			n = 0
		default:
		}
		if n == 0 {
			break
		}
		begin := time.Now()
		resp, err := http.Post(base+"/v2/items", "application/json", bytes.NewReader(body))
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			return 0, fmt.Errorf("a small call: %s: %w", resp.Status, err)
		}
		took = append(took, time.Since(begin))
	}
	if len(took) == 0 {
		return 0, fmt.Errorf("no small call was made")
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}
