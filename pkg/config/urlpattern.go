package config

import (
	"cmp"
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// URLPattern says which URLs may be named by others: an entry of callbacks.allow.
type URLPattern struct {
	scheme string
	labels []string // of the host; "*" is any one label
	port   string   // "*": any
	path   string   // "*" at the end: any with this beginning; "": any
}

var errPattern = errors.New("write scheme and host, and if need be port and path, as in https://hooks.example.com, https://*.example.com:*/hoft/* or http://10.1.2.3:8000/in")

// ParseURLPattern reads a pattern. A * stands for any port, for one label of the host, or at the end of the path for
// whatever follows. Without a port the scheme's own is meant, without a path any path.
func ParseURLPattern(s string) (URLPattern, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || scheme != "https" && scheme != "http" || strings.ContainsAny(rest, "@?#\\ ") || hasControl(rest) {
		return URLPattern{}, errPattern
	}
	p := URLPattern{scheme: scheme}
	host, path, slash := strings.Cut(rest, "/")
	if slash {
		p.path = "/" + path
	}
	if strings.Contains(strings.TrimSuffix(p.path, "*"), "*") || dotted(p.path) {
		return URLPattern{}, errPattern
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		if host, p.port = host[:i], host[i+1:]; p.port != "*" && !isPort(p.port) {
			return URLPattern{}, errPattern
		}
	}
	if p.port == "" {
		p.port = schemePort(scheme)
	}
	host = strings.Trim(strings.ToLower(host), "[]")
	if !isHost(strings.ReplaceAll(host, "*", "x")) || host == "*" {
		return URLPattern{}, errPattern
	}
	if p.labels = []string{host}; !isAddr(host) {
		p.labels = strings.Split(host, ".")
	}
	for _, l := range p.labels {
		if strings.Contains(l, "*") && l != "*" {
			return URLPattern{}, errPattern
		}
	}
	return p, nil
}

func isAddr(s string) bool { _, err := netip.ParseAddr(s); return err == nil }

func schemePort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// Covers says whether the pattern is for this URL.
func (p URLPattern) Covers(u *url.URL) bool {
	if u.Scheme != p.scheme || u.User != nil {
		return false
	}
	port := u.Port()
	if port == "" {
		port = schemePort(u.Scheme)
	}
	if p.port != "*" && p.port != port {
		return false
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	labels := []string{host}
	if !isAddr(host) {
		labels = strings.Split(host, ".")
	}
	if len(labels) != len(p.labels) {
		return false
	}
	for i, l := range p.labels {
		if l != labels[i] && l != "*" {
			return false
		}
	}
	path := cmp.Or(u.EscapedPath(), "/") // the same (RFC 9110 section 4.2.3)
	if prefix, any := strings.CutSuffix(p.path, "*"); any {
		return strings.HasPrefix(path, prefix) && !dotted(u.Path)
	}
	return p.path == "" || p.path == path
}

// Addr gives the address that the pattern names by its digits: one that the operator means, whatever it is.
// localhost is such a name too.
func (p URLPattern) Addr() (prefixes []netip.Prefix) {
	host := strings.Join(p.labels, ".")
	if host == "localhost" {
		return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}
	}
	return nil
}
