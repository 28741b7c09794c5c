package dataapi

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/hoft/hoft/pkg/config"
)

// hosts are the names that may stand in Host besides addresses and localhost: a page of a foreign site that rebinds its
// name to this listener comes with that name and is refused.
type hosts []string

func newHosts(cfg config.Data) hosts { return append(hosts{hostname(cfg.Listen)}, cfg.Hosts...) }

func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}

func (h hosts) serves(r *http.Request) bool {
	name := hostname(r.Host)
	if _, err := netip.ParseAddr(name); err == nil || name == "" || strings.EqualFold(name, "localhost") {
		return true
	}
	for _, known := range h {
		if known != "" && strings.EqualFold(known, name) {
			return true
		}
	}
	return false
}
