package dataapi

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
)

// params are the query parameters of a request, each at most once, and only known ones.
type params map[string]string

func parseParams(query string, known []string) (params, *exchange.Problem) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, exchange.Problemf(exchange.CodeBadRequest, "the query is malformed")
	}
	out := params{}
	for name, all := range values {
		if !slices.Contains(known, name) {
			return nil, exchange.Problemf(exchange.CodeBadRequest, "query parameter %q is not known here; there are: %s", cut(name), strings.Join(known, ", "))
		}
		if len(all) > 1 {
			return nil, exchange.Problemf(exchange.CodeBadRequest, "query parameter %q comes more than once", name)
		}
		out[name] = all[0]
	}
	return out, nil
}

// cut shortens what a client wrote.
func cut(s string) string { return s[:min(len(s), 40)] }

// has says whether a parameter was given.
func (p params) has(name string) bool { _, ok := p[name]; return ok }

// number reads a count of bytes: digits alone, within 63 bits.
func (p params) number(name string, without int64) (int64, *exchange.Problem) {
	text, ok := p[name]
	if !ok {
		return without, nil
	}
	n, ok := digits(text)
	if !ok {
		return 0, exchange.Problemf(exchange.CodeBadRequest, "%s=%s is no number of bytes from 0 to 9223372036854775807", name, cut(text))
	}
	return n, nil
}

func digits(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// longestTTL bounds ?ttl=; more overflows once it is added to a clock.
const longestTTL = 100 * 365 * 24 * time.Hour

// until gives when what is stored now expires, the zero time for never.
func (c *call) until(p params) (time.Time, *exchange.Problem) {
	ttl := c.s.o.Config.TTL
	if text, ok := p["ttl"]; ok {
		d, err := time.ParseDuration(text)
		if n, plain := digits(text); plain && n <= int64(longestTTL/time.Second) {
			d, err = time.Duration(n)*time.Second, nil
		}
		if err != nil || d < 0 || d > longestTTL {
			return time.Time{}, exchange.Problemf(exchange.CodeBadRequest, "ttl=%s is no time; write seconds, or a number with a unit as in 90s or 24h; 0 keeps it until DELETE", cut(text))
		}
		ttl = d
	}
	if ttl == 0 {
		return time.Time{}, nil
	}
	return c.s.now().Add(ttl), nil
}
