package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes; in text with a unit: 64KiB, 16MiB, 1GiB, 500MB, or a bare number.
type Size int64

// units in the order in which String tries them; the binary and decimal forms of ISO/IEC 80000-13.
var units = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"TB", 1e12},
	{"GiB", 1 << 30}, {"GB", 1e9},
	{"MiB", 1 << 20}, {"MB", 1e6},
	{"KiB", 1 << 10}, {"kB", 1e3}, {"KB", 1e3},
	{"B", 1},
}

var errSize = errors.New(`a size is a whole number with B, KiB, MiB, GiB, TiB or kB, MB, GB, TB, as in 16MiB`)

// ParseSize reads a size. Fractions, signs and unknown units are errors; so is more than 2^63-1 bytes.
func ParseSize(s string) (Size, error) {
	digits := strings.TrimLeft(s, "0123456789")
	number, unit := s[:len(s)-len(digits)], strings.TrimSpace(digits)
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		if errors.Is(err, strconv.ErrRange) {
			return 0, errors.New("the size is too large")
		}
		return 0, errSize
	}
	if unit == "" {
		return Size(n), nil
	}
	for _, u := range units {
		if u.name != unit {
			continue
		}
		if n > math.MaxInt64/u.bytes {
			return 0, errors.New("the size is too large")
		}
		return Size(n * u.bytes), nil
	}
	return 0, errSize
}

// String gives the shortest exact form: 16MiB, 500MB, 1234B.
func (s Size) String() string {
	best := strconv.FormatInt(int64(s), 10) + "B"
	if s <= 0 {
		return best
	}
	for _, u := range units {
		if int64(s)%u.bytes != 0 {
			continue
		}
		if form := fmt.Sprintf("%d%s", int64(s)/u.bytes, u.name); len(form) < len(best) {
			best = form
		}
	}
	return best
}

// MarshalText implements encoding.TextMarshaler with String's form.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
