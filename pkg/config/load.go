package config

import (
	"fmt"
	"path/filepath"
	"strings"
)

// LoadOptions say what to load.
type LoadOptions struct {
	File string   // path; "": as Find looks for it
	Set  []string // key=value, stronger than everything else
}

// Load reads the file, the HOFT_ variables and the --set values, in rising precedence over the defaults,
// resolves relative paths against the folder of the file, and validates. The error joins one *Problem
// for everything that is wrong (see Problems), or says why there is no file to read (ErrNoFile, fs.ErrNotExist).
func Load(opts LoadOptions) (*Config, error) {
	file, err := Find(opts.File)
	if err != nil {
		return nil, err
	}
	values, src, found, err := read(file)
	if err != nil {
		return nil, err
	}
	present := map[string]bool{"ingress": values["ingress"] != nil, "egress": values["egress"] != nil}
	src.readEnv(present)
	sets, wrong := src.readSet(opts.Set, present)
	found = append(found, wrong...)

	c := Default()
	c.src = src
	if present["ingress"] {
		c.Ingress = DefaultIngress()
	}
	if present["egress"] {
		c.Egress = DefaultEgress()
	}
	found = append(found, src.explain(c.decode(values, sets))...)
	if err := c.resolvePaths(file); err != nil {
		return nil, err
	}
	for _, p := range Problems(c.Validate()) {
		if !found.about(p.Key) {
			found = append(found, p)
		}
	}
	if len(found) > 0 {
		return nil, found.err()
	}
	return c, nil
}

// about says whether something is already reported about key or the list or section it is in.
func (ps problems) about(key string) bool {
	for _, p := range ps {
		if p.Key == key || strings.HasPrefix(key, p.Key+".") || strings.HasPrefix(key, p.Key+"[") || strings.HasPrefix(p.Key, key+".") {
			return true
		}
	}
	return false
}

// resolvePaths makes every path absolute, relative ones from the folder of the file.
func (c *Config) resolvePaths(file string) error {
	abs, err := filepath.Abs(file)
	if err != nil {
		return fmt.Errorf("finding the folder of %s: %w", file, err)
	}
	base := filepath.Dir(abs)
	for _, p := range c.paths() {
		if *p != "" && !filepath.IsAbs(*p) && !elsewhere(*p) {
			*p = filepath.Join(base, *p)
		}
	}
	return nil
}

// paths lists the fields that hold a path of a file or folder.
func (c *Config) paths() []*string {
	out := []*string{&c.StateDir, &c.Pipe.Outbox, &c.Pipe.Inbox, &c.Pipe.TempDir, &c.Callbacks.SecretFile,
		&c.Data.TokensFile, &c.Data.TLS.CertFile, &c.Data.TLS.KeyFile, &c.Data.TLS.ClientCAFile}
	for i := range c.Peers {
		out = append(out, &c.Peers[i].Keys, &c.Peers[i].PSK)
	}
	if in := c.Ingress; in != nil {
		out = append(out, &in.TLS.CertFile, &in.TLS.KeyFile, &in.TLS.ClientCAFile)
		for i := range in.Callers {
			out = append(out, &in.Callers[i].TokenFile, &in.Callers[i].PasswordFile)
		}
	}
	if c.Egress != nil {
		for i := range c.Egress.Upstreams {
			u := &c.Egress.Upstreams[i]
			out = append(out, &u.CAFile, &u.CertFile, &u.KeyFile)
			out = append(out, u.Auth.paths()...)
		}
	}
	return out
}

// File is the path that the configuration was read from, "" if it was not.
func (c *Config) File() string {
	if c.src == nil {
		return ""
	}
	return c.src.file
}

// Warnings are what was found odd while loading but is no error, one line each: variables without effect.
func (c *Config) Warnings() []string {
	if c.src == nil {
		return nil
	}
	return append([]string(nil), c.src.warn...)
}
