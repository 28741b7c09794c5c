package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// data measures storing and reading by the Direct Data API beside a plain Go file server on the same disk: the same client,
// in turn, best of three.
func data(mib int) error {
	b, err := newBed()
	if err != nil {
		return err
	}
	defer b.stop()
	size := int64(mib) << 20
	body := filepath.Join(b.dir, "body")
	files, err := b.role("files", filepath.Join(b.dir, "served"))
	if err != nil {
		return err
	}
	plain := b.procs[len(b.procs)-1].Process.Pid
	api, site, err := b.dataSite(size)
	if err != nil {
		return err
	}
	var plainPut, plainGet, hoftPut, hoftGet took
	for range 3 {
		if err := freshBytes(body, size); err != nil { // or only the first time would store it
			return err
		}
		if _, err := plainPut.better(plain, func() (string, error) { return "", send(http.MethodPut, "http://"+files+"/file", body) }); err != nil {
			return err
		}
		if _, err := plainGet.better(plain, func() (string, error) { return "", receive("http://"+files+"/file", "", size) }); err != nil {
			return err
		}
		id, err := hoftPut.better(site, func() (string, error) { return store(api, body) })
		if err != nil {
			return err
		}
		if _, err := hoftGet.better(site, func() (string, error) { return "", receive(api+"/data", id, size) }); err != nil {
			return err
		}
		if err := release(api, id); err != nil {
			return err
		}
	}
	fmt.Printf("%d MiB of random data, one client on the same machine; best of three in turn\n", mib)
	row := func(what string, t, hoft took) {
		fmt.Printf("%-52s %6.2f s %6.0f MB/s %6.2f CPU s of the server   hoft's rate is %.2f of it\n", what, t.wall.Seconds(), float64(size)/1e6/t.wall.Seconds(), t.cpu.Seconds(),
			t.wall.Seconds()/hoft.wall.Seconds())
	}
	row("PUT to a Go file server, written and synced", plainPut, hoftPut)
	row("POST /data", hoftPut, hoftPut)
	row("GET from a Go file server (sendfile)", plainGet, hoftGet)
	row("GET /data", hoftGet, hoftGet)
	return printMemory("the site", site)
}

// took is the best time of a transfer, and the CPU time of the server in it.
type took struct{ wall, cpu time.Duration }

func (t *took) better(pid int, f func() (string, error)) (string, error) {
	before, err := cpuOf(pid)
	if err != nil {
		return "", err
	}
	begin := time.Now()
	out, err := f()
	wall := time.Since(begin)
	if err != nil {
		return "", err
	}
	after, err := cpuOf(pid)
	if t.wall == 0 || wall < t.wall {
		*t = took{wall, after - before}
	}
	return out, err
}

// send uploads a file.
func send(method, url, path string) error {
	_, err := uploadTo(method, url, path)
	return err
}

func store(api, path string) (id string, err error) {
	h, err := uploadTo(http.MethodPost, api+"/data", path)
	return h.Get("Safe-Data-Map"), err
}

func uploadTo(method, url, path string) (http.Header, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(method, url, f)
	if err != nil {
		return nil, err
	}
	req.ContentLength = info.Size()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s", method, url, resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.Header, err
}

// receive reads all and counts it.
func receive(url, id string, size int64) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if id != "" {
		req.Header.Set("Safe-Data-Map", id)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, make([]byte, 1<<20))
	if err == nil && (resp.StatusCode != http.StatusOK || n != size) {
		err = fmt.Errorf("GET %s: %s, %d bytes of %d", url, resp.Status, n, size)
	}
	return err
}

func release(api, id string) error {
	req, err := http.NewRequest(http.MethodDelete, api+"/data", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Safe-Data-Map", id)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// dataSite starts a site with a Data API alone, and gives its URL and process.
func (b *bed) dataSite(size int64) (api string, pid int, err error) {
	addr, err := freeAddr()
	if err != nil {
		return "", 0, err
	}
	p := &pair{b: b, dir: filepath.Join(b.dir, "data")}
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		return "", 0, err
	}
	for _, n := range []string{"a", "b"} {
		if out, err := p.hoft("keys", "gen", "--name", "site-"+n, "--state-dir", "./"+n).CombinedOutput(); err != nil {
			return "", 0, fmt.Errorf("keys gen: %w: %s", err, out)
		}
	}
	out, err := p.hoft("keys", "export", "--state-dir", "./b").Output()
	if err != nil {
		return "", 0, err
	}
	if err := os.WriteFile(filepath.Join(p.dir, "b.jwks"), out, 0o600); err != nil {
		return "", 0, err
	}
	text := fmt.Sprintf("name: site-a\nstate_dir: ./a\npipe: {outbox: ./ab, inbox: ./ba}\npeers: [{name: site-b, keys: ./b.jwks}]\nlog: {level: error}\n"+
		"chunks: {max_bytes: %d}\ndata: {listen: '%s', max_bytes: %d}\n", 6*size, addr, 4*size)
	if err := os.WriteFile(filepath.Join(p.dir, "a.yaml"), []byte(text), 0o600); err != nil {
		return "", 0, err
	}
	c := p.hoft("serve", "--config", "a.yaml")
	if err := b.start(c, addr); err != nil {
		return "", 0, err
	}
	return "http://" + addr, c.Process.Pid, nil
}

// serveFiles is what the Data API is compared with: PUT writes a file and syncs it, GET serves it.
func serveFiles(addr, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	serve := http.FileServer(http.Dir(dir))
	return http.ListenAndServe(addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut {
			serve.ServeHTTP(w, r)
			return
		}
		f, err := os.Create(filepath.Join(dir, filepath.Base(r.URL.Path)))
		if err == nil {
			if _, err = io.Copy(f, r.Body); err == nil {
				err = f.Sync()
			}
			if cerr := f.Close(); err == nil {
				err = cerr
			}
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
}

// printMemory prints the most memory that a process has had.
func printMemory(what string, pid int) error {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			fmt.Printf("%s peak resident memory: %s\n", what, strings.TrimSpace(rest))
		}
	}
	return nil
}
