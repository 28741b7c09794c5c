package config

import "testing"

// FuzzSize: a size that is read comes back from its own spelling.
func FuzzSize(f *testing.F) {
	for _, s := range []string{"16MiB", "500MB", "1234", "0B", "9223372036854775807B", "8TiB ", "-1", "1.5GiB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseSize(s)
		if err != nil {
			return
		}
		if again, err := ParseSize(n.String()); n < 0 || err != nil || again != n {
			t.Fatalf("%q is %d, written %q, read %d, %v", s, n, n, again, err)
		}
	})
}

// FuzzRate: a rate that is read is positive, or none.
func FuzzRate(f *testing.F) {
	for _, s := range []string{"", "10/s", "600/m", "1MiB/s", "0/s", "1/d", "9999999999/h"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, s string, bytes bool) {
		r, err := ParseRate(s, bytes)
		if err == nil && s != "" && (r.N < 1 || r.Per <= 0) {
			t.Fatalf("%q is %+v", s, r)
		}
	})
}

// FuzzURLPattern: no text makes reading a pattern fail in another way than by an error.
func FuzzURLPattern(f *testing.F) {
	for _, s := range []string{"https://hooks.example.com", "https://*.example.com:*/hoft/*", "http://[::1]:8000/in", "http://"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := ParseURLPattern(s); err == nil && p.scheme != "http" && p.scheme != "https" {
			t.Fatalf("%q is %+v", s, p)
		}
	})
}
