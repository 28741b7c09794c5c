package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// gate lets requests at the TCP address through that are free or carry the token.
type gate struct {
	next  http.Handler
	token string
	free  bool   // health needs no token: only this host can connect
	host  string // as configured
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !g.knows(r.Host) {
		writeJSON(w, http.StatusMisdirectedRequest, map[string]string{"error": "this host name is not served here"})
		return
	}
	if !g.open(r) && !g.carriesToken(r) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="hoft"`)
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "this needs the token in " + TokenFile + " of the state folder, as in Authorization: Bearer TOKEN"})
		return
	}
	g.next.ServeHTTP(w, r)
}

// knows refuses host names that a page in a browser may have bound to this address (DNS rebinding).
func (g *gate) knows(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return strings.EqualFold(host, "localhost") || g.host != "" && strings.EqualFold(host, g.host)
}

// open says whether a request needs no token.
func (g *gate) open(r *http.Request) bool {
	switch r.URL.Path {
	case PathLive, PathReady, PathHealth:
		return g.free
	}
	return false
}

// carriesToken compares in constant time, whatever the lengths.
func (g *gate) carriesToken(r *http.Request) bool {
	scheme, given, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	want, got := sha256.Sum256([]byte(g.token)), sha256.Sum256([]byte(strings.TrimSpace(given)))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}
