package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Prefixes parses trusted_proxies and addresses: CIDR ranges or single addresses. Load has validated
// those of a Config before.
func Prefixes(list []string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(list))
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, aerr := netip.ParseAddr(s)
			if aerr != nil {
				return nil, fmt.Errorf("%q is neither an address nor a range such as 10.0.0.0/8", s)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// Mode parses file_mode and dir_mode: three or four octal digits as for chmod, with or without a
// leading 0o. 2000 becomes fs.ModeSetgid, 4000 fs.ModeSetuid, 1000 fs.ModeSticky.
func Mode(s string) (fs.FileMode, error) {
	digits := strings.TrimPrefix(s, "0o")
	n, err := strconv.ParseUint(digits, 8, 16)
	if err != nil || n > 0o7777 || len(digits) < 3 {
		return 0, fmt.Errorf("%q is no mode of three or four octal digits", s)
	}
	mode := fs.FileMode(n & 0o777)
	for _, bit := range []struct {
		octal uint64
		mode  fs.FileMode
	}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}} {
		if n&bit.octal != 0 {
			mode |= bit.mode
		}
	}
	return mode, nil
}

// duration wants a unit: 30 would be nanoseconds to Go and seconds to people.
func duration(s string) (time.Duration, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return d, nil
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return 0, fmt.Errorf("a duration needs a unit, as in %ss", s)
	}
	return 0, fmt.Errorf("a duration is a number with ms, s, m or h, as in 30s or 1h30m")
}

// list splits a comma list; blanks around the items do not count, "" is the empty list.
func list(s string) []string {
	out := []string{}
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

// wholeNumber reads decimal digits; no fraction, no other base.
func wholeNumber(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, errors.New("write a whole number")
	}
	return n, nil
}
