package config

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Rate is how many of something may come in a time. The zero Rate is no limit.
type Rate struct {
	N   int64
	Per time.Duration
}

var errRate = errors.New(`a rate is a number and a time, as in 10/s, 600/m or 1000/h; of bytes, a size and a time, as in 1MiB/s`)

// ParseRate reads a rate; "" is none.
func ParseRate(s string, bytes bool) (Rate, error) {
	if s == "" {
		return Rate{}, nil
	}
	number, unit, ok := strings.Cut(s, "/")
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	if !ok || per == 0 {
		return Rate{}, errRate
	}
	if bytes {
		n, err := ParseSize(number)
		if err != nil || n < 1 || n > 1<<50 {
			return Rate{}, errRate
		}
		return Rate{int64(n), per}, nil
	}
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil || n < 1 {
		return Rate{}, errRate
	}
	return Rate{int64(n), per}, nil
}
