package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxWord is the longest name in bytes, that of a label in DNS (RFC 1035 section 2.3.4).
const maxWord = 63

// word checks a name of a site, a peer or an upstream. It appears in header fields, logs and commands.
func (v *checker) word(key, s, mend string) {
	if s == "" {
		v.bad(key, "", "missing", mend)
		return
	}
	if !isWord(s) {
		v.bad(key, strconv.Quote(s), "is no name", "use lower-case letters, digits and hyphens, at most 63, a letter or digit first and last")
	}
}

func isWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		inner := i > 0 && i < len(s)-1
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (c != '-' || !inner) {
			return false
		}
	}
	return s != "" && len(s) <= maxWord
}

func (v *checker) oneOf(key, s string, allowed ...string) {
	if slices.Contains(allowed, s) {
		return
	}
	mend := "write " + strings.Join(allowed, ", ")
	if n := len(allowed); n > 1 {
		mend = "write " + strings.Join(allowed[:n-1], ", ") + " or " + allowed[n-1]
	}
	v.bad(key, strconv.Quote(s), "is not known here", mend)
}

func (v *checker) period(key string, d, least, most time.Duration) {
	switch {
	case d < least:
		v.bad(key, d.String(), "is too short", "write at least "+least.String())
	case d > most:
		v.bad(key, d.String(), "is too long", "write at most "+most.String())
	}
}

func (v *checker) size(key string, n, least, most Size) {
	switch {
	case n < least:
		v.bad(key, n.String(), "is too small", "write at least "+least.String())
	case n > most:
		v.bad(key, n.String(), "is too large", "write at most "+most.String())
	}
}

func (v *checker) count(key string, n, least int) {
	if n < least {
		v.bad(key, strconv.Itoa(n), "is too small", fmt.Sprintf("write at least %d", least))
	}
}

// listen checks an address to listen on. An empty host is all addresses; port 0 takes a free one.
func (v *checker) listen(key, s string) {
	const mend = "write host:port, as in 127.0.0.1:8080 or [::1]:8080"
	if s == "" {
		v.bad(key, "", "missing", mend)
		return
	}
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		v.bad(key, strconv.Quote(s), "is no address to listen on", mend)
		return
	}
	if !isPort(p) {
		v.bad(key, strconv.Quote(s), "has no port number from 0 to 65535", mend)
		return
	}
	if host != "" && !isHost(host) {
		v.bad(key, strconv.Quote(s), "names no host", mend)
	}
}

// isPort says whether s is a decimal number from 0 to 65535 without leading zeros.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == s
}

// loopback says whether only this host can reach the address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return true // reported by listen
	}
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

func port(address string) string {
	_, p, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	return p
}

// isHost says whether s is an IP address or a host name in ASCII (RFC 1123 section 2.1), without a port.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		// An underscore is no host name by the letter and yet common inside container networks.
		if !isWord(strings.ReplaceAll(strings.ToLower(label), "_", "0")) {
			return false
		}
	}
	return true
}

// isToken says whether s is a token of HTTP (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

// prefixes checks a list of addresses and ranges.
func (v *checker) prefixes(key string, list []string) {
	for i, s := range list {
		if _, err := Prefixes(list[i : i+1]); err != nil {
			v.bad(fmt.Sprintf("%s[%d]", key, i), strconv.Quote(s), "is neither an address nor a range", "write 10.1.2.3 or 10.0.0.0/8")
		}
	}
}

// head checks the limits of a head below key.
func (v *checker) head(at string, size Size, fields int) {
	v.size(at+".max_head", size, 256, MaxHead)
	if fields < 1 || fields > MaxFields {
		v.bad(at+".max_fields", strconv.Itoa(fields), "is out of range", fmt.Sprintf("write 1 to %d", MaxFields))
	}
}
