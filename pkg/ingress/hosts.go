package ingress

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange/httptarget"
)

// hosts decides which Host values are served here (RFC 9110 section 7.4). A page of a foreign site that
// rebinds its name to this listener comes with that name and gets 421.
type hosts struct {
	listen   string
	loopback bool
	patterns []hostPattern
}

func newHosts(cfg config.Ingress, routes []route) hosts {
	h := hosts{listen: httptarget.Hostname(cfg.Listen)}
	addr, err := netip.ParseAddr(h.listen)
	h.loopback = h.listen == "localhost" || err == nil && addr.Unmap().IsLoopback()
	for _, s := range cfg.Hosts {
		h.patterns = append(h.patterns, newHostPattern(s))
	}
	for _, r := range routes {
		if r.host.name != "" {
			h.patterns = append(h.patterns, r.host)
		}
	}
	return h
}

// wellFormed says whether a Host is a name or an address, behind it a port in digits or none (RFC 9110 section 7.2). What
// URIs allow in a host beyond that is in no name of the DNS, and a comma would make a list of X-Forwarded-Host.
func wellFormed(host string) bool {
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		name, port = host[:i], host[i+1:]
	}
	if addr, bracketed := strings.CutPrefix(name, "["); bracketed {
		addr, closed := strings.CutSuffix(addr, "]")
		if _, err := netip.ParseAddr(strings.Replace(addr, "%25", "%", 1)); err != nil || !closed { // a zone: RFC 6874
			return false
		}
		name = ""
	}
	return strings.Trim(port, "0123456789") == "" && !strings.ContainsFunc(name, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-._~%", c))
	})
}

// serves says whether the request's Host is covered. One without a Host names no foreign one.
func (h hosts) serves(r *http.Request) bool {
	if r.Host == "" {
		return true
	}
	for _, p := range h.patterns {
		if p.covers(r.Host) {
			return true
		}
	}
	name := httptarget.Hostname(r.Host)
	if name == h.listen && name != "" {
		return true
	}
	addr, err := netip.ParseAddr(name)
	if h.loopback && (name == "localhost" || strings.HasSuffix(name, ".localhost") || err == nil && addr.Unmap().IsLoopback()) {
		return true
	}
	return err == nil && addr.Unmap() == localAddr(r) // an address is no name that could be rebound
}

// localAddr is the address at which the caller reached this listener.
func localAddr(r *http.Request) netip.Addr {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		return local.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// hostPattern is a host, with or without port; "*." in front stands for one or more labels.
type hostPattern struct {
	name string // "": any host
	port string // "": any port
	wild bool
}

func newHostPattern(s string) hostPattern {
	name, wild := strings.CutPrefix(s, "*.")
	p := hostPattern{name: httptarget.Hostname(name), wild: wild}
	if _, port, err := net.SplitHostPort(name); err == nil {
		p.port = port
	}
	return p
}

func (p hostPattern) covers(host string) bool {
	if p.name == "" {
		return true
	}
	if p.port != "" && p.port != httptarget.Port(host, "http") {
		return false
	}
	name := httptarget.Hostname(host)
	if p.wild {
		return strings.HasSuffix(name, "."+p.name)
	}
	return name == p.name
}

// rank orders patterns: a whole name before a wildcard before any host, longer before shorter.
func (p hostPattern) rank() int {
	switch {
	case p.name == "":
		return 0
	case p.wild:
		return len(p.name)
	}
	return 1<<16 + len(p.port)
}
