package httptarget

import (
	"net"
	"net/netip"
	"strings"
)

// Origin is a scheme, an authority and a path prefix below which something is seen.
type Origin struct {
	Scheme string // http or https
	Host   string // host, or host:port
	Path   string // "" or "/x" without a last slash
}

// Mapping moves references from one origin to another, as a server and its callers see the same thing.
type Mapping struct{ From, To Origin }

// Reverse maps the other way.
func (m Mapping) Reverse() Mapping { return Mapping{From: m.To, To: m.From} }

// URL maps a reference (RFC 3986 section 4.1): of From's origin, or a path, below From's prefix. Anything else is
// returned as it is. Bytes after the prefix are untouched.
func (m Mapping) URL(ref string) string {
	scheme, host, rest := cutOrigin(ref)
	if host == "" {
		if !strings.HasPrefix(ref, "/") {
			return ref // relative: it keeps its meaning
		}
		if moved, ok := m.path(ref); ok {
			return moved
		}
		return ref
	}
	if scheme == "" && !sameHost(host, m.From.Host, m.From.Scheme) ||
		scheme != "" && (!strings.EqualFold(scheme, m.From.Scheme) || !sameHost(host, m.From.Host, scheme)) {
		return ref
	}
	moved, ok := m.path(rest)
	if !ok || m.To.Host == "" {
		return ref
	}
	if scheme == "" {
		return "//" + m.To.Host + moved
	}
	return m.To.Scheme + "://" + m.To.Host + moved
}

// path moves path, query and fragment.
func (m Mapping) path(ref string) (string, bool) {
	end := strings.IndexAny(ref, "?#")
	if end < 0 {
		end = len(ref)
	}
	rest, ok := strings.CutPrefix(ref[:end], m.From.Path)
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	if rest == "" && m.To.Path == "" && (m.From.Path != "" || end < len(ref)) {
		rest = "/"
	}
	return m.To.Path + rest + ref[end:], true
}

// Cookie maps the Path and Domain attributes of a Set-Cookie value (RFC 6265 section 4.1). A path at or above From's
// prefix becomes To's prefix. A Domain that covers From's host and not To's would make the caller drop
// the cookie: it becomes To's host, or goes where that host can have no Domain (an address, one label).
func (m Mapping) Cookie(value string) string {
	parts := strings.Split(value, ";")
	kept := parts[:1]
	for _, part := range parts[1:] {
		name, v, _ := strings.Cut(part, "=")
		space := part[:len(part)-len(strings.TrimLeft(part, " \t"))]
		switch v = strings.TrimSpace(v); strings.ToLower(strings.TrimSpace(name)) {
		case "path":
			part = space + strings.TrimSpace(name) + "=" + m.cookiePath(v)
		case "domain":
			domain, keep := m.cookieDomain(v)
			if !keep {
				continue
			}
			part = space + strings.TrimSpace(name) + "=" + domain
		}
		kept = append(kept, part)
	}
	return strings.Join(kept, ";")
}

func (m Mapping) cookiePath(path string) string {
	if !strings.HasPrefix(path, "/") {
		return path // the caller takes its default path
	}
	above := strings.TrimSuffix(path, "/")
	if above == m.From.Path || strings.HasPrefix(m.From.Path, above+"/") {
		if m.To.Path == "" {
			return "/"
		}
		return m.To.Path
	}
	if rest, ok := strings.CutPrefix(path, m.From.Path); ok && rest[0] == '/' {
		return m.To.Path + rest
	}
	return path
}

func (m Mapping) cookieDomain(domain string) (string, bool) {
	bare := strings.TrimPrefix(domain, ".")
	from, to := Hostname(m.From.Host), Hostname(m.To.Host)
	if bare == "" || !covers(bare, from) || covers(bare, to) {
		return domain, true
	}
	if _, err := netip.ParseAddr(to); err == nil || !strings.Contains(to, ".") {
		return "", false
	}
	return to, true
}

func covers(domain, host string) bool {
	domain, host = strings.ToLower(domain), strings.ToLower(host)
	return domain == host || strings.HasSuffix(host, "."+domain)
}

// cutOrigin takes "scheme://host" or "//host" off a reference.
func cutOrigin(ref string) (scheme, host, rest string) {
	rest, ok := strings.CutPrefix(ref, "//")
	if !ok {
		scheme, rest, ok = strings.Cut(ref, "://")
		if !ok || strings.ContainsAny(scheme, "/?#") {
			return "", "", ref
		}
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	return scheme, rest[:end], rest[end:]
}

// Hostname gives the host of an authority: lower case, no port, no brackets, no last dot.
func Hostname(authority string) string {
	host := authority
	if h, _, err := net.SplitHostPort(authority); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// Port gives the port of an authority, or the scheme's own.
func Port(authority, scheme string) string {
	if _, port, err := net.SplitHostPort(authority); err == nil && port != "" {
		return port
	}
	if strings.EqualFold(scheme, "https") {
		return "443"
	}
	return "80"
}

func sameHost(a, b, scheme string) bool {
	return Hostname(a) == Hostname(b) && Port(a, scheme) == Port(b, scheme)
}
