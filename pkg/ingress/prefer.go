package ingress

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// preferredWait reads the wait preference (RFC 7240 section 4.3), in seconds; false when there is none.
func preferredWait(h http.Header) (time.Duration, bool) {
	for _, line := range h["Prefer"] {
		for preference := range strings.SplitSeq(line, ",") {
			token, _, _ := strings.Cut(preference, ";")
			name, value, _ := strings.Cut(token, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if err == nil {
				return time.Duration(seconds) * time.Second, true
			}
		}
	}
	return 0, false
}

// wait is how long this call's connection is held: the route's time, or what the caller prefers up to wait_max.
func (s *Server) wait(r *http.Request, rt *route) (wait time.Duration, preferred bool) {
	wish, ok := preferredWait(r.Header)
	if !ok {
		return rt.wait, false
	}
	return min(wish, s.waitMax), true
}
