package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxInline is the largest inline limit in bytes: a message has at most 64 KiB of claims, base64 takes
// 4/3, and the fields of the call need room too.
const maxInline = 40 << 10

func (v *checker) ingress(c *Config) {
	in := c.Ingress
	v.listen("ingress.listen", in.Listen)
	for i, h := range in.Hosts {
		v.host(fmt.Sprintf("ingress.hosts[%d]", i), h)
	}
	v.prefixes("ingress.trusted_proxies", in.TrustedProxies)
	v.period("ingress.wait", in.Wait, time.Millisecond, longest)
	v.period("ingress.wait_max", in.WaitMax, in.Wait, longest)
	v.period("ingress.deadline", in.Deadline, time.Millisecond, longest)
	v.size("ingress.max_body", in.MaxBody, 0, 1<<50)
	v.size("ingress.response_buffer", in.ResponseBuffer, 64<<10, 1<<40)
	v.size("ingress.inline", in.Inline, 0, maxInline)
	v.guards(in)
	if len(in.Routes) == 0 {
		v.bad("ingress.routes", "", "missing", "add a route that names a peer and one of its upstreams")
	}
	seen := map[[2]string]int{}
	for i, r := range in.Routes {
		at := fmt.Sprintf("ingress.routes[%d]", i)
		v.route(c, at, r)
		id := [2]string{strings.ToLower(r.Host), strings.TrimSuffix(r.Path, "/")} // a last slash means nothing there
		if first, ok := seen[id]; ok {
			v.bad(at+".path", strconv.Quote(r.Path), fmt.Sprintf("routes[%d] has the same host and path", first), "remove one of them")
			continue
		}
		seen[id] = i
	}
}

func (v *checker) route(c *Config, at string, r Route) {
	if r.Host != "" {
		v.host(at+".host", r.Host)
	}
	v.path(at+".path", r.Path)
	if r.StripPrefix != "" {
		v.path(at+".strip_prefix", r.StripPrefix)
		if prefix := strings.TrimSuffix(r.StripPrefix, "/"); r.Path != prefix && !strings.HasPrefix(r.Path, prefix+"/") {
			v.bad(at+".strip_prefix", strconv.Quote(r.StripPrefix), fmt.Sprintf("is no beginning of the path %q", r.Path), "write the path or a parent of it")
		}
	}
	v.peer(c, at+".peer", r.Peer)
	v.word(at+".upstream", r.Upstream, "name an upstream of the peer")
	v.period(at+".wait", r.Wait, 0, c.Ingress.WaitMax)
	v.period(at+".deadline", r.Deadline, 0, longest)
	v.size(at+".max_body", r.MaxBody, 0, 1<<50)
	v.oneOf(at+".compress", r.Compress, "on", "off")
	v.oneOf(at+".dedupe", r.Dedupe, "on", "off")
	v.oneOf(at+".chunking", r.Chunking, "content", "fixed")
	v.size(at+".response_buffer", r.ResponseBuffer, 0, 1<<40)
	v.routeCallers(c.Ingress, at, r)
	v.oneOf(at+".mode", r.Mode, "wait", "async")
	v.oneOf(at+".keep", r.Keep, "answers", "none")
	if r.Mode == "async" && r.Keep == "none" {
		v.bad(at+".keep", `"none"`, "with mode: async nobody could fetch the answer", "remove one of them")
	}
}

// host checks a pattern for Host: a name or address, perhaps with a port; *. in front of a name stands for
// one or more labels.
func (v *checker) host(key, s string) {
	name, p, wild := strings.TrimPrefix(s, "*."), "", strings.HasPrefix(s, "*.")
	if h, port, err := net.SplitHostPort(name); err == nil {
		name, p = h, port
	}
	_, err := netip.ParseAddr(name)
	switch {
	case !isHost(name), wild && err == nil, strings.Trim(p, "0123456789") != "": // http://x has a "port" too
		v.bad(key, strconv.Quote(s), "is no host name", "write a name or an address without scheme and path, as in api.example.com or *.example.com")
	case p != "" && !isPort(p):
		v.bad(key, strconv.Quote(s), "has no port number from 0 to 65535", "write it as in api.example.com:8443, or leave it out for any port")
	}
}

// path checks the beginning of a path: it is compared with decoded segments, so nothing in it is encoded.
func (v *checker) path(key, s string) {
	const mend = "write a path as in /v2/items"
	switch {
	case !strings.HasPrefix(s, "/"):
		v.bad(key, strconv.Quote(s), "does not begin with a slash", mend)
	case strings.ContainsAny(s, "?#\\") || hasControl(s):
		v.bad(key, strconv.Quote(s), "holds what cannot be part of a path", mend)
	case strings.Contains(s, "//") || dotted(s):
		v.bad(key, strconv.Quote(s), "holds an empty or dot segment, which never matches", mend)
	}
}

// pattern checks an allowed path, in which * stands for anything within a segment and a last segment **
// for any number of segments.
func (v *checker) pattern(key, s string) {
	const mend = "write a path as in /v2/items, /v2/*/lines or /files/**"
	plain, err := url.PathUnescape(s)
	switch {
	case !strings.HasPrefix(s, "/"):
		v.bad(key, strconv.Quote(s), "does not begin with a slash", mend)
	case err != nil:
		v.bad(key, strconv.Quote(s), "holds a malformed percent-encoding", mend)
	case strings.ContainsAny(s, "?#\\") || hasControl(plain):
		v.bad(key, strconv.Quote(s), "holds what cannot be part of a path", mend)
	case strings.Contains(strings.TrimSuffix(s, "/**"), "**"):
		v.bad(key, strconv.Quote(s), "has ** elsewhere than as the last segment", mend)
	case dotted(plain):
		v.bad(key, strconv.Quote(s), "holds a dot segment, which never matches", mend)
	}
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func dotted(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

func (v *checker) egress(c *Config) {
	v.period("egress.remember", c.Egress.Remember, time.Second, longest)
	if len(c.Egress.Upstreams) == 0 {
		v.bad("egress.upstreams", "", "missing", "list the servers that peers may call")
	}
	seen := map[string]bool{}
	for i, u := range c.Egress.Upstreams {
		at := fmt.Sprintf("egress.upstreams[%d]", i)
		v.word(at+".name", u.Name, "give the upstream the name that routes use")
		if seen[u.Name] && u.Name != "" {
			v.bad(at+".name", strconv.Quote(u.Name), "is the name of another upstream too", "choose another name")
		}
		seen[u.Name] = true
		v.upstream(c, at, u)
	}
}

func (v *checker) upstream(c *Config, at string, u Upstream) {
	v.url(at+".url", u.URL)
	if len(u.Peers) == 0 {
		v.bad(at+".peers", "", "missing", "list the peers that may call this server")
	}
	for i, p := range u.Peers {
		v.peer(c, fmt.Sprintf("%s.peers[%d]", at, i), p)
	}
	for i, m := range u.Methods {
		v.method(fmt.Sprintf("%s.methods[%d]", at, i), m)
	}
	for i, p := range u.Paths {
		v.pattern(fmt.Sprintf("%s.paths[%d]", at, i), p)
	}
	v.prefixes(at+".addresses", u.Addresses)
	v.period(at+".timeout", u.Timeout, time.Millisecond, longest)
	v.size(at+".max_response", u.MaxResponse, 0, 1<<50)
	v.head(at, u.MaxHead, u.MaxFields)
	v.count(at+".concurrency", u.Concurrency, 1)
	v.upstreamGuards(at, u)
	v.auth(at+".auth", u.Auth)
	if u.IdempotencyKey != "" {
		v.oneOf(at+".idempotency_key", u.IdempotencyKey, "honoured")
	}
	if u.CAFile != "" && strings.HasPrefix(u.URL, "http://") {
		v.bad(at+".ca_file", strconv.Quote(u.CAFile), "has no effect with an http url", "write https, or remove it")
	}
}

// knownMethods are those of RFC 9110 section 9.3, RFC 5789 and RFC 10008. Others may be called too.
var knownMethods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "QUERY"}

// method checks a method: names are case-sensitive (RFC 9110 section 9.1).
func (v *checker) method(key, m string) {
	switch {
	case !isToken(m):
		v.bad(key, strconv.Quote(m), "is no method", "write a name as in GET")
	case m == "CONNECT":
		v.bad(key, strconv.Quote(m), "cannot cross a file pipe", "remove it")
	case m != strings.ToUpper(m) && slices.Contains(knownMethods, strings.ToUpper(m)):
		v.bad(key, strconv.Quote(m), "methods are told apart by case", "write "+strings.ToUpper(m))
	}
}

// url checks the url of an upstream. Its value is shown without credentials.
func (v *checker) url(key, s string) {
	const mend = "write scheme, host, and if need be port and path, as in http://127.0.0.1:9000"
	if s == "" {
		v.bad(key, "", "missing", mend)
		return
	}
	shown := strconv.Quote(withoutCredentials(s))
	u, err := url.Parse(s)
	switch {
	case err != nil || hasControl(s):
		v.bad(key, shown, "is no url", mend)
	case u.Scheme != "http" && u.Scheme != "https":
		v.bad(key, shown, "is neither http nor https", mend)
	case u.User != nil:
		v.bad(key, shown, "holds credentials, which do not belong in this file", "remove what stands before the @")
	case u.RawQuery != "" || u.ForceQuery:
		v.bad(key, shown, "holds a query", "remove it: the query comes with each call")
	case u.Fragment != "" || strings.Contains(s, "#"):
		v.bad(key, shown, "holds a fragment", "remove it: fragments are never sent")
	case !isHost(u.Hostname()):
		v.bad(key, shown, "names no host", mend)
	case dotted(u.Path):
		v.bad(key, shown, "holds a dot segment", "write the path that is meant")
	}
	if err == nil && u.Port() != "" {
		if n, perr := strconv.ParseUint(u.Port(), 10, 16); perr != nil || n == 0 {
			v.bad(key, shown, "has no port number from 1 to 65535", mend)
		}
	}
}

// withoutCredentials cuts everything between the scheme and the last @, also from what is no url.
func withoutCredentials(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return s
	}
	start := 0
	if i := strings.Index(s, "//"); i >= 0 && i < at {
		start = i + 2
	}
	return s[:start] + "..." + s[at:]
}
