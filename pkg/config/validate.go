package config

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// longest is the longest time that any key may name; more overflows once it is added to a clock or doubled.
const longest = 100 * 365 * 24 * time.Hour

// Validate checks everything that can be checked without touching the file system or the network.
// The error joins one *Problem for each thing that is wrong.
func (c *Config) Validate() error {
	v := &checker{src: c.src}
	v.site(c)
	v.pipe(c)
	v.peers(c)
	if c.Ingress != nil {
		v.ingress(c)
	}
	if c.Egress != nil {
		v.egress(c)
	}
	v.admin(c)
	v.data(c)
	v.tuning(c)
	return v.problems.err()
}

// checker gathers what is wrong.
type checker struct {
	src      *source
	problems problems
}

// bad reports a key; value is its text as to be shown, "" for none.
func (v *checker) bad(key, value, reason, mend string) {
	where, line := v.src.where(key)
	v.problems.add(&Problem{Where: where, Key: key, Value: value, Reason: reason, Mend: mend, line: line})
}

func (v *checker) site(c *Config) {
	v.word("name", c.Name, "give this site a short name")
	if c.StateDir == "" {
		v.bad("state_dir", "", "missing, and the environment names no home folder", "name a folder that only this user can read")
		return
	}
	for _, p := range []struct{ key, dir string }{{"pipe.outbox", c.Pipe.Outbox}, {"pipe.inbox", c.Pipe.Inbox}, {"pipe.temp_dir", c.Pipe.TempDir}} {
		if p.dir != "" && within(c.StateDir, p.dir) {
			v.bad("state_dir", strconv.Quote(c.StateDir), "lies in "+p.key+", which others can read",
				"move it to a local folder that only this user can read")
			return
		}
	}
}

// within says whether path is folder or lies below it. Names only: links are not followed.
func within(path, folder string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func (v *checker) pipe(c *Config) {
	p := c.Pipe
	if p.Outbox == "" {
		v.bad("pipe.outbox", "", "missing", "name the folder that is written, whose files reach the other side")
	}
	if p.Inbox == "" {
		v.bad("pipe.inbox", "", "missing", "name the folder that is read, where files from the other side appear")
	}
	v.oneOf("pipe.layout", p.Layout, "nested", "flat")
	v.oneOf("pipe.consume", p.Consume, "remove", "keep")
	v.suffix(p.Suffix)
	v.mode("pipe.file_mode", p.FileMode, 0o600, "0640")
	v.mode("pipe.dir_mode", p.DirMode, 0o700, "2770")
	v.period("pipe.settle", p.Settle, time.Millisecond, 15*time.Minute)
	v.period("pipe.poll_min", p.PollMin, time.Millisecond, time.Hour)
	v.period("pipe.poll_max", p.PollMax, p.PollMin, time.Hour)
	v.count("pipe.max_files", p.MaxFiles, 4)
	v.size("pipe.max_file", p.MaxFile, 256<<10, 1<<40)
	v.count("pipe.scan_files", p.ScanFiles, 1)
	v.size("pipe.scan_bytes", p.ScanBytes, 256<<10, 1<<50)
	v.size("pipe.quarantine", p.Quarantine, 0, 1<<50)
}

// suffix keeps file names portable and recognizable: it follows .jwe and .pack.
func (v *checker) suffix(s string) {
	const key, mend = "pipe.suffix", "use up to 16 letters, digits, dots, hyphens and underscores, as in .dat"
	for _, r := range s {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r) {
			v.bad(key, strconv.Quote(s), "holds characters that are not safe in file names everywhere", mend)
			return
		}
	}
	switch {
	case len(s) > 16:
		v.bad(key, strconv.Quote(s), "is too long", mend)
	case strings.HasSuffix(s, "."): // Windows drops a last dot
		v.bad(key, strconv.Quote(s), "ends with a dot", mend)
	case strings.HasSuffix(s, ".part"), strings.HasSuffix(s, ".jwe"), strings.HasSuffix(s, ".jws"), strings.HasSuffix(s, ".pack"):
		v.bad(key, strconv.Quote(s), "is an ending with a meaning of its own", mend)
	}
}

func (v *checker) mode(key, s string, need uint32, example string) {
	mode, err := Mode(s)
	switch {
	case err != nil:
		v.bad(key, strconv.Quote(s), "is no mode", "write three or four octal digits, as in "+example)
	case uint32(mode.Perm())&need != need:
		v.bad(key, strconv.Quote(s), "shuts out hoft itself", fmt.Sprintf("add %#o", need))
	}
}

func (v *checker) peers(c *Config) {
	if len(c.Peers) == 0 {
		v.bad("peers", "", "missing", "list the sites that this one trusts")
	}
	seen := map[string]bool{}
	for i, p := range c.Peers {
		at := fmt.Sprintf("peers[%d]", i)
		v.word(at+".name", p.Name, "give the peer a short name")
		switch {
		case seen[p.Name] && p.Name != "":
			v.bad(at+".name", strconv.Quote(p.Name), "is the name of another peer too", "choose another name")
		case p.Name == c.Name && p.Name != "":
			v.bad(at+".name", strconv.Quote(p.Name), "is this site's own name", "list other sites only, or choose another name")
		}
		seen[p.Name] = true
		v.oneOf(at+".seal", p.Seal, "encrypted", "signed")
		if p.PSK != "" && p.Keys != "" {
			v.bad(at+".psk", strconv.Quote(p.PSK), "a peer has either keys or a pre-shared secret, not both", "remove one of them")
		}
	}
}

// hasPeer says whether the config lists a peer of that name.
func (c *Config) hasPeer(name string) bool {
	for _, p := range c.Peers {
		if p.Name == name {
			return true
		}
	}
	return false
}

// peer checks the name of a peer at key.
func (v *checker) peer(c *Config, key, name string) {
	if name == "" {
		v.bad(key, "", "missing", "name one of peers")
		return
	}
	if name == "*" {
		v.bad(key, `"*"`, "there is no wildcard for peers", "list each peer by name, so that a new peer is not let in by an old line")
		return
	}
	if c.hasPeer(name) {
		return
	}
	names := make([]string, len(c.Peers))
	for i, p := range c.Peers {
		names[i] = p.Name
	}
	mend := "add it to peers"
	if near := Closest(name, names); near != "" {
		mend = fmt.Sprintf("did you mean %q?", near)
	}
	v.bad(key, strconv.Quote(name), "is not one of peers", mend)
}

func (v *checker) admin(c *Config) {
	if c.Admin.Listen == "" {
		return
	}
	v.listen("admin.listen", c.Admin.Listen)
	if !loopback(c.Admin.Listen) {
		v.bad("admin.listen", strconv.Quote(c.Admin.Listen), "the operator's listener must not be reachable from other hosts",
			"listen on 127.0.0.1 and put a proxy that authenticates in front")
	}
	if c.Ingress != nil && c.Ingress.Listen == c.Admin.Listen && port(c.Admin.Listen) != "0" {
		v.bad("admin.listen", strconv.Quote(c.Admin.Listen), "is ingress.listen too", "choose another port")
	}
}

func (v *checker) chunks(c Chunks) {
	v.size("chunks.max_bytes", c.MaxBytes, 0, 1<<60)
	for _, q := range []struct {
		key     string
		n, most Size
		above   string
	}{
		{"chunks.peer_bytes", c.PeerBytes, c.MaxBytes, "chunks.max_bytes"},
		{"chunks.exchange_bytes", c.ExchangeBytes, c.PeerBytes, "chunks.peer_bytes"},
		{"chunks.exchange_bytes", c.ExchangeBytes, c.MaxBytes, "chunks.max_bytes"},
	} {
		v.size(q.key, q.n, 0, 1<<60)
		if q.n > 0 && q.most > 0 && q.n > q.most {
			v.bad(q.key, q.n.String(), "is more than "+q.above, "lower it, or raise "+q.above)
			return
		}
	}
}

func (v *checker) tuning(c *Config) {
	v.period("link.heartbeat", c.Link.Heartbeat, time.Second, 24*time.Hour)
	v.period("link.ack_delay", c.Link.AckDelay, 0, 10*time.Second)
	v.period("link.initial_rtt", c.Link.InitialRTT, time.Millisecond, 24*time.Hour)
	v.period("results.ttl", c.Results.TTL, time.Second, longest)
	v.chunks(c.Chunks)
	v.size("results.max_bytes", c.Results.MaxBytes, 1<<20, 1<<50)
	v.count("limits.outbox_messages", c.Limits.OutboxMessages, 16)
	v.size("limits.outbox_bytes", c.Limits.OutboxBytes, 1<<20, 1<<50)
	v.count("limits.transit_messages", c.Limits.TransitMessages, 16)
	v.size("limits.transit_bytes", c.Limits.TransitBytes, 256<<10, 1<<40)
	v.count("limits.exchanges", c.Limits.Exchanges, 1)
	v.limits(c.Limits)
	v.callbacks(c)
	v.oneOf("log.level", c.Log.Level, "trace", "debug", "info", "warn", "error")
	v.oneOf("log.format", c.Log.Format, "auto", "json", "console")
}
