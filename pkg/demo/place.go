package demo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/identity"
)

// Names of the two sites, and of the upstream between them.
const (
	SiteA    = "site-a" // takes calls in
	SiteB    = "site-b" // makes them
	upstream = "callee"
)

// Place is where everything of a demo lies, for people to look at.
type Place struct {
	Dir     string // everything below
	ConfigA string // configuration files that hoft's other commands read
	ConfigB string
	Samples string // copies of a whole frame and of a cut one, as site-b got them
	Ingress string // URL
	Callee  string // URL
	Faults  Faults
	Seed    uint64
	Calls   int
	Many    bool // too many calls to show each
}

// newPlace makes the folder of a demo: a new temporary one, or dir, which must be empty or absent.
func newPlace(dir string) (string, error) {
	if dir == "" {
		d, err := os.MkdirTemp("", "hoft-demo-")
		if err != nil {
			return "", fmt.Errorf("the demo has no folder: %w; name one with --dir", err)
		}
		return d, nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", fmt.Errorf("make the demo's folder: %w", err)
		}
	case err != nil:
		return "", fmt.Errorf("read the demo's folder: %w", err)
	case len(entries) > 0:
		return "", fmt.Errorf("the demo's folder %s is not empty; name a new one", dir)
	}
	return dir, nil
}

// siteSetup is one site's configuration, in its file and as it is used.
type siteSetup struct {
	cfg  *config.Config
	file string
	log  string
}

// The settings that a demo has beside the defaults: a folder on this machine answers faster than a share.
const (
	settle     = 250 * time.Millisecond
	pollMin    = 5 * time.Millisecond
	pollMax    = 50 * time.Millisecond
	ackDelay   = 10 * time.Millisecond
	initialRTT = 100 * time.Millisecond
	wait       = 10 * time.Minute // how long a caller is held
)

// setUp makes identities and configuration files for both sites below dir.
func setUp(dir, listen, calleeURL string, concurrency int) (a, b siteSetup, err error) {
	peerOf := map[string]string{SiteA: SiteB, SiteB: SiteA}
	for name := range peerOf {
		id, err := identity.Generate(name)
		if err != nil {
			return a, b, err
		}
		if err := id.Create(filepath.Join(dir, name, "state")); err != nil {
			return a, b, err
		}
		if err := os.WriteFile(filepath.Join(dir, name+".pub.jwks"), id.Public().Encode(), 0o644); err != nil {
			return a, b, fmt.Errorf("write public keys: %w", err)
		}
	}
	in := config.DefaultIngress()
	in.Listen, in.Wait = listen, wait
	r := config.DefaultRoute()
	r.Path, r.Peer, r.Upstream = "/", SiteB, upstream
	in.Routes = []config.Route{r}
	u := config.DefaultUpstream()
	u.Name, u.URL, u.Peers, u.Concurrency = upstream, calleeURL, []string{SiteA}, max(u.Concurrency, concurrency)
	out := config.DefaultEgress()
	out.Upstreams = []config.Upstream{u}

	if a, err = newSetup(dir, SiteA, SiteB, in, nil); err != nil {
		return a, b, err
	}
	b, err = newSetup(dir, SiteB, SiteA, nil, out)
	return a, b, err
}

// newSetup fills in what both sites have and writes the file that says the same.
func newSetup(dir, name, peer string, in *config.Ingress, out *config.Egress) (siteSetup, error) {
	c := config.Default()
	c.Name, c.StateDir = name, filepath.Join(dir, name, "state")
	c.Pipe.Outbox, c.Pipe.Inbox = filepath.Join(dir, name, "outbox"), filepath.Join(dir, name, "inbox")
	c.Pipe.Settle, c.Pipe.PollMin, c.Pipe.PollMax = settle, pollMin, pollMax
	c.Link.AckDelay, c.Link.InitialRTT = ackDelay, initialRTT
	p := config.DefaultPeer()
	p.Name, p.Keys = peer, filepath.Join(dir, peer+".pub.jwks")
	c.Peers = []config.Peer{p}
	c.Ingress, c.Egress = in, out
	s := siteSetup{cfg: c, file: filepath.Join(dir, name+".yaml"), log: filepath.Join(dir, name+".log")}
	if err := c.Validate(); err != nil {
		return s, err
	}
	if err := os.WriteFile(s.file, []byte(yaml(c)), 0o600); err != nil {
		return s, fmt.Errorf("write the configuration of %s: %w", name, err)
	}
	return s, nil
}

// yaml is the configuration file of a site of the demo, with paths relative to it.
func yaml(c *config.Config) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# The configuration of %s in a demo; hoft status --config THIS-FILE shows its state.", c.Name)
	p("name: %s", c.Name)
	p("state_dir: ./%s/state", c.Name)
	p("pipe:")
	p("  outbox: ./%s/outbox", c.Name)
	p("  inbox: ./%s/inbox", c.Name)
	p("  settle: %v # short, because this mover writes fast", c.Pipe.Settle)
	p("  poll_min: %v", c.Pipe.PollMin)
	p("  poll_max: %v", c.Pipe.PollMax)
	p("peers:")
	p("  - name: %s", c.Peers[0].Name)
	p("    keys: ./%s.pub.jwks", c.Peers[0].Name)
	if in := c.Ingress; in != nil {
		p("ingress:")
		p("  listen: %q", in.Listen)
		p("  wait: %v", in.Wait)
		p("  routes:")
		p("    - path: %s", in.Routes[0].Path)
		p("      peer: %s", in.Routes[0].Peer)
		p("      upstream: %s", in.Routes[0].Upstream)
	}
	if out := c.Egress; out != nil {
		p("egress:")
		p("  upstreams:")
		p("    - name: %s", out.Upstreams[0].Name)
		p("      url: %s", out.Upstreams[0].URL)
		p("      peers: [%s]", out.Upstreams[0].Peers[0])
		p("      concurrency: %d", out.Upstreams[0].Concurrency)
	}
	p("link:")
	p("  ack_delay: %v", c.Link.AckDelay)
	p("  initial_rtt: %v", c.Link.InitialRTT)
	return b.String()
}
