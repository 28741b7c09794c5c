package callback

import (
	"net/http"
	"strconv"
	"time"
)

// pauses are between the tries of one callback (Standard Webhooks, "Retry schedule"); after the last it is given up.
var pauses = [...]time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour,
	14 * time.Hour, 20 * time.Hour, 24 * time.Hour}

// Tries is how often one callback is tried.
const Tries = len(pauses) + 1

// longestPause bounds what a receiver may ask for.
const longestPause = 24 * time.Hour

// pause gives the time until the next try after a number of them: up to a tenth longer by chance, so that many that failed
// together do not come together again, and not before the receiver said. over: it was the last.
func pause(tries int, asked time.Duration, chance float64) (d time.Duration, over bool) {
	if tries >= Tries {
		return 0, true
	}
	d = pauses[tries-1]
	d += time.Duration(float64(d) / 10 * chance)
	return max(d, min(asked, longestPause)), false
}

// retryAfter reads Retry-After (RFC 9110 section 10.2.3), 0 for none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
