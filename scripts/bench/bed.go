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

// bed is everything that runs side by side: a callee, two proxies in a row, two sites.
type bed struct {
	dir      string
	self     string
	procs    []*exec.Cmd
	callee   string // URLs
	proxies  string
	hoft     string
	sites    map[string]*exec.Cmd
	hoftPath string
}

func newBed(dir string) (*bed, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	b := &bed{dir: dir, self: self, sites: map[string]*exec.Cmd{}, hoftPath: filepath.Join(dir, "hoft")}
	if out, err := exec.Command("go", "build", "-o", b.hoftPath, "github.com/hoft/hoft").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build hoft: %w: %s", err, out)
	}
	callee, err := b.role("callee")
	if err != nil {
		return nil, err
	}
	inner, err := b.role("proxy", "http://"+callee)
	if err != nil {
		return nil, err
	}
	outer, err := b.role("proxy", "http://"+inner)
	if err != nil {
		return nil, err
	}
	b.callee, b.proxies = "http://"+callee, "http://"+outer
	return b, nil
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
}

// startSites makes two sites with default settings that share two folders.
func (b *bed) startSites() error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	conf := map[string]string{
		"a": "name: site-a\nstate_dir: ./a\npipe: {outbox: ./ab, inbox: ./ba}\npeers: [{name: site-b, keys: ./b.jwks}]\nlog: {level: warn}\n" +
			"ingress: {listen: '" + addr + "', routes: [{path: /, peer: site-b, upstream: orders}]}\n",
		"b": "name: site-b\nstate_dir: ./b\npipe: {outbox: ./ba, inbox: ./ab}\npeers: [{name: site-a, keys: ./a.jwks}]\nlog: {level: warn}\n" +
			"egress: {upstreams: [{name: orders, url: '" + b.callee + "', peers: [site-a], concurrency: 256}]}\n",
	}
	for n, text := range conf {
		if err := os.WriteFile(filepath.Join(b.dir, n+".yaml"), []byte(text), 0o600); err != nil {
			return err
		}
		if out, err := b.hoftCmd("keys", "gen", "--name", "site-"+n, "--state-dir", "./"+n).CombinedOutput(); err != nil {
			return fmt.Errorf("keys gen: %w: %s", err, out)
		}
		out, err := b.hoftCmd("keys", "export", "--state-dir", "./"+n).Output()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(b.dir, n+".jwks"), out, 0o600); err != nil {
			return err
		}
	}
	for _, n := range []string{"b", "a"} {
		c := b.hoftCmd("serve", "--config", n+".yaml")
		listen := ""
		if n == "a" {
			listen = addr
		}
		if err := b.start(c, listen); err != nil {
			return err
		}
		b.sites["site-"+n] = c
	}
	b.hoft = "http://" + addr
	return nil
}

func (b *bed) hoftCmd(args ...string) *exec.Cmd {
	c := exec.Command(b.hoftPath, args...)
	c.Dir = b.dir
	return c
}

// written is what both sites have written into the folders since they began.
type written struct{ files, bytes uint64 }

// traffic asks both sites what they have written.
func (b *bed) traffic() (written, error) {
	var w written
	for _, n := range []string{"a", "b"} {
		out, err := b.hoftCmd("status", "--config", n+".yaml", "--json").Output()
		if err != nil {
			return w, fmt.Errorf("hoft status of site-%s: %w", n, err)
		}
		var st struct {
			Peers []struct {
				Counters struct {
					Files uint64 `json:"files_written"`
					Bytes uint64 `json:"bytes_written"`
				} `json:"counters"`
			} `json:"peers"`
		}
		if err := json.Unmarshal(out, &st); err != nil {
			return w, fmt.Errorf("hoft status of site-%s: %w", n, err)
		}
		for _, p := range st.Peers {
			w.files += p.Counters.Files
			w.bytes += p.Counters.Bytes
		}
	}
	return w, nil
}

// reportTraffic prints what calls cost in the folders, both ways together.
func (b *bed) reportTraffic(before written, calls int) error {
	after, err := b.traffic()
	if err != nil || calls == 0 {
		return err
	}
	fmt.Printf("%17s per call: %.3f files, %.0f bytes in the pipe, both ways together\n", "",
		float64(after.files-before.files)/float64(calls), float64(after.bytes-before.bytes)/float64(calls))
	return nil
}

func (b *bed) reportMemory() {
	for _, n := range []string{"site-a", "site-b"} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.sites[n].Process.Pid))
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
	_ = filepath.WalkDir(filepath.Join(b.dir, "a"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if i, err := d.Info(); err == nil {
				size += i.Size()
			}
		}
		return nil
	})
	fmt.Printf("state of site-a: %d MiB\n", size>>20)
}
