package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// bed is where programs run side by side, in one folder, until it is stopped; then the folder goes too.
type bed struct {
	dir      string
	self     string
	procs    []*exec.Cmd
	hoftPath string
}

func newBed() (*bed, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "hoft-bench-")
	if err != nil {
		return nil, err
	}
	b := &bed{dir: dir, self: self, hoftPath: filepath.Join(dir, "hoft")}
	if out, err := exec.Command("go", "build", "-o", b.hoftPath, "github.com/hoft/hoft").CombinedOutput(); err != nil {
		b.stop()
		return nil, fmt.Errorf("build hoft: %w: %s", err, out)
	}
	return b, nil
}

// callee starts the server that answers calls and gives its URL.
func (b *bed) callee() (string, error) {
	addr, err := b.role("callee")
	return "http://" + addr, err
}

// proxies starts two plain reverse proxies in a row before a callee and gives their URL.
func (b *bed) proxies(callee string) (string, error) {
	inner, err := b.role("proxy", callee)
	if err != nil {
		return "", err
	}
	outer, err := b.role("proxy", "http://"+inner)
	return "http://" + outer, err
}

// role starts this program again as a server and gives its address.
func (b *bed) role(name string, args ...string) (string, error) {
	addr, err := freeAddr()
	if err != nil {
		return "", err
	}
	return addr, b.start(exec.Command(b.self, append([]string{name, addr}, args...)...), addr)
}

func (b *bed) start(c *exec.Cmd, addr string) error {
	if c.Stderr == nil {
		c.Stderr = os.Stderr
	}
	if err := c.Start(); err != nil {
		return err
	}
	b.procs = append(b.procs, c)
	if addr == "" {
		return nil
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", addr); err == nil {
			return conn.Close()
		}
	}
	return fmt.Errorf("%s does not listen on %s", c.Path, addr)
}

func (b *bed) stop() {
	for _, c := range b.procs {
		_ = c.Process.Kill() // at the end of a benchmark nothing is worth a graceful stop
		_ = c.Wait()
	}
	_ = os.RemoveAll(b.dir)
}

// pair is two sites: site-a takes calls in, site-b makes them.
type pair struct {
	b     *bed
	dir   string
	url   string // of site-a
	sites map[string]*exec.Cmd
}

// pairOf says how a pair differs from one with default settings that shares two folders.
type pairOf struct {
	callee  string // URL
	pipe    string // further keys of both pipes, ", key: value"
	mover   bool   // each site has folders of its own; a mover is to carry between ab and ba-in, ba and ab-in
	folders string // where the pipe's folders are made; "": beside the state folders
	site    string // further top-level lines of both
	ingress string // further keys of the ingress, ", key: value"
	route   string // further keys of the route, ", key: value"
}

// startPair makes two sites in a folder of their own and starts them.
func (b *bed) startPair(name string, of pairOf) (*pair, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p := &pair{b: b, dir: filepath.Join(b.dir, name), url: "http://" + addr, sites: map[string]*exec.Cmd{}}
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		return nil, err
	}
	in := map[string]string{"a": "ba", "b": "ab"}
	if of.mover {
		in = map[string]string{"a": "ba-in", "b": "ab-in"}
	}
	at := "."
	if of.folders != "" {
		at = of.folders
	}
	conf := map[string]string{
		"a": "name: site-a\nstate_dir: ./a\npipe: {outbox: " + at + "/ab, inbox: " + at + "/" + in["a"] + of.pipe + "}\npeers: [{name: site-b, keys: ./b.jwks}]\nlog: {level: error}\n" + of.site +
			"ingress: {listen: '" + addr + "', routes: [{path: /, peer: site-b, upstream: orders" + of.route + "}]" + of.ingress + "}\n",
		"b": "name: site-b\nstate_dir: ./b\npipe: {outbox: " + at + "/ba, inbox: " + at + "/" + in["b"] + of.pipe + "}\npeers: [{name: site-a, keys: ./a.jwks}]\nlog: {level: error}\n" + of.site +
			"egress: {upstreams: [{name: orders, url: '" + of.callee + "', peers: [site-a], concurrency: 256}]}\n",
	}
	for n, text := range conf {
		if err := os.WriteFile(filepath.Join(p.dir, n+".yaml"), []byte(text), 0o600); err != nil {
			return nil, err
		}
		if out, err := p.hoft("keys", "gen", "--name", "site-"+n, "--state-dir", "./"+n).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("keys gen: %w: %s", err, out)
		}
		out, err := p.hoft("keys", "export", "--state-dir", "./"+n).Output()
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(p.dir, n+".jwks"), out, 0o600); err != nil {
			return nil, err
		}
	}
	for _, n := range []string{"b", "a"} {
		c := p.hoft("serve", "--config", n+".yaml")
		listen := ""
		if n == "a" {
			listen = addr
		}
		if err := b.start(c, listen); err != nil {
			return nil, err
		}
		p.sites["site-"+n] = c
	}
	return p, nil
}

func (p *pair) hoft(args ...string) *exec.Cmd {
	c := exec.Command(p.b.hoftPath, args...)
	c.Dir = p.dir
	return c
}

// written is what both sites have written into the folders since they began.
type written struct{ files, bytes uint64 }

// traffic asks both sites what they have written.
func (p *pair) traffic() (written, error) {
	a, err := p.written("a")
	if err != nil {
		return a, err
	}
	b, err := p.written("b")
	return written{a.files + b.files, a.bytes + b.bytes}, err
}

// written asks one site, a or b.
func (p *pair) written(n string) (w written, err error) {
	st, err := p.status(n)
	for _, p := range st.Peers {
		w.files += p.Counters.Files
		w.bytes += p.Counters.Bytes
	}
	return w, err
}

// status is what is used of hoft status --json.
type status struct {
	Peers []struct {
		Outbox struct {
			Messages int64 `json:"messages"`
			Bytes    int64 `json:"bytes"`
			Full     bool  `json:"full"`
		} `json:"outbox"`
		Counters struct {
			Files      uint64 `json:"files_written"`
			Bytes      uint64 `json:"bytes_written"`
			Sent       uint64 `json:"messages_sent"`
			Resent     uint64 `json:"resent"`
			Duplicates uint64 `json:"duplicates"`
			Lost       uint64 `json:"files_lost"`
			Cut        uint64 `json:"files_cut"`
			Spurious   uint64 `json:"spurious"`
			AckOnly    uint64 `json:"ack_only"`
			Timeouts   uint64 `json:"timeouts"`
		} `json:"counters"`
	} `json:"peers"`
}

// status asks one site, a or b.
func (p *pair) status(n string) (st status, err error) {
	out, err := p.hoft("status", "--config", n+".yaml", "--json").Output()
	if err != nil {
		return st, fmt.Errorf("hoft status of site-%s: %w", n, err)
	}
	if err := json.Unmarshal(out, &st); err != nil {
		return st, fmt.Errorf("hoft status of site-%s: %w", n, err)
	}
	return st, nil
}

// reportTraffic prints what calls cost in the folders, both ways together.
func (p *pair) reportTraffic(before written, calls int) error {
	after, err := p.traffic()
	if err != nil || calls == 0 {
		return err
	}
	fmt.Printf("%17s per call: %.3f files, %.0f bytes in the pipe, both ways together\n", "",
		float64(after.files-before.files)/float64(calls), float64(after.bytes-before.bytes)/float64(calls))
	return nil
}

func (p *pair) reportMemory() {
	for _, n := range []string{"site-a", "site-b"} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.sites[n].Process.Pid))
		if err != nil {
			continue
		}
		for _, line := range strings.Split(string(data), "\n") {
			if strings.HasPrefix(line, "VmHWM:") {
				fmt.Printf("%s peak resident memory: %s\n", n, strings.TrimSpace(strings.TrimPrefix(line, "VmHWM:")))
			}
		}
	}
	var size int64
	_ = filepath.WalkDir(filepath.Join(p.dir, "a"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if i, err := d.Info(); err == nil {
				size += i.Size()
			}
		}
		return nil
	})
	fmt.Printf("state of site-a: %d MiB\n", size>>20)
}
