package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// nncpKeys are the fields of one node in a configuration of NNCP.
type nncpKeys map[string]any

var reNNCP = regexp.MustCompile(`(?m)^\s+(id|exchpub|exchprv|signpub|signprv|noisepub|noiseprv): ([A-Z2-7]+)$`)

// nncp makes two nodes and gives what carries a file from one to the other through a folder: file, xfer, xfer, toss.
func nncp(dir, body string) (carry func() (time.Duration, error), err error) {
	for _, tool := range []string{"nncp-cfgnew", "nncp-file", "nncp-xfer", "nncp-toss"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, err
		}
	}
	base := filepath.Join(dir, "nncp")
	cfg, err := nncpNodes(base)
	if err != nil {
		return nil, err
	}
	shared := filepath.Join(base, "shared")
	return func() (time.Duration, error) {
		begin := time.Now()
		for _, c := range [][]string{
			{"nncp-file", "-cfg", cfg["a"], body, "b:"},
			{"nncp-xfer", "-cfg", cfg["a"], "-mkdir", shared},
			{"nncp-xfer", "-cfg", cfg["b"], "-mkdir", shared},
			{"nncp-toss", "-cfg", cfg["b"]},
		} {
			if out, err := exec.Command(c[0], append([]string{"-quiet", "-noprogress"}, c[1:]...)...).CombinedOutput(); err != nil {
				return 0, fmt.Errorf("%s: %w: %s", c[0], err, out)
			}
		}
		took := time.Since(begin)
		return took, nncpArrived(filepath.Join(base, "b", "incoming"), body)
	}, nil
}

// nncpArrived checks that the file came whole, and removes it.
func nncpArrived(incoming, body string) error {
	want, err := os.Stat(body)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(incoming)
	if err != nil {
		return err
	}
	if len(entries) != 1 {
		return fmt.Errorf("%d files arrived", len(entries))
	}
	info, err := entries[0].Info()
	if err != nil || info.Size() != want.Size() {
		return errors.Join(err, errors.New("the file that arrived has another length"))
	}
	return os.Remove(filepath.Join(incoming, info.Name()))
}

// nncpNodes makes two nodes that know each other.
func nncpNodes(base string) (cfg map[string]string, err error) {
	keys := map[string]nncpKeys{}
	for _, n := range []string{"a", "b"} {
		for _, d := range []string{"spool", "incoming"} {
			if err := os.MkdirAll(filepath.Join(base, n, d), 0o700); err != nil {
				return nil, err
			}
		}
		out, err := exec.Command("nncp-cfgnew").Output()
		if err != nil {
			return nil, err
		}
		keys[n] = nncpKeys{}
		for _, m := range reNNCP.FindAllSubmatch(out, -1) {
			if _, there := keys[n][string(m[1])]; !there { // the first is the node itself
				keys[n][string(m[1])] = string(m[2])
			}
		}
	}
	if err := os.MkdirAll(filepath.Join(base, "shared"), 0o700); err != nil {
		return nil, err
	}
	cfg = map[string]string{}
	for n, other := range map[string]string{"a": "b", "b": "a"} {
		neigh := map[string]nncpKeys{"self": public(keys[n]), other: public(keys[other])}
		neigh[other]["incoming"] = filepath.Join(base, n, "incoming")
		text, err := json.Marshal(map[string]any{"spool": filepath.Join(base, n, "spool"), "log": filepath.Join(base, n, "log"),
			"self": keys[n], "neigh": neigh})
		if err != nil {
			return nil, err
		}
		cfg[n] = filepath.Join(base, n, "nncp.hjson")
		if err := os.WriteFile(cfg[n], text, 0o600); err != nil {
			return nil, err
		}
	}
	return cfg, nil
}

func public(k nncpKeys) nncpKeys {
	out := nncpKeys{}
	for _, name := range []string{"id", "exchpub", "signpub", "noisepub"} {
		out[name] = k[name]
	}
	return out
}
