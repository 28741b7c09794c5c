package credentials

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hoft/hoft/pkg/config"
)

func set(lines ...string) http.Header { return http.Header{"Set-Cookie": lines, "X": {"1"}} }

func cookie(t *testing.T, k *Keeper, u *url.URL, owner string) string {
	t.Helper()
	h := http.Header{"Cookie": {"forged=1"}}
	if _, err := k.Show(t.Context(), h, u, owner); err != nil {
		t.Fatal(err)
	}
	return strings.Join(h["Cookie"], "|")
}

// TestCookies: a jar for each caller, kept over restarts, sealed; what the server set never goes on.
func TestCookies(t *testing.T) {
	b := newBed(t)
	auth := &config.Auth{Cookies: true}
	k := b.keeper(auth)
	h := set("session=secret-1; Path=/; HttpOnly", "narrow=n; Path=/a", "gone=x; Max-Age=0", "later=l; Max-Age=1000; Path=/", "other=o; Domain=evil.example",
		"suffix=s; Domain=example", "=bad", "secure=y; Secure; Path=/")
	k.Keep(t.Context(), h, where, "alice")
	if fmt.Sprint(h) != "map[X:[1]]" {
		t.Errorf("cookies go on: %v", h)
	}
	for _, k := range []*Keeper{k, b.keeper(auth)} {
		if got := cookie(t, k, where, "alice"); got != "narrow=n; session=secret-1; later=l" && got != "narrow=n; later=l; session=secret-1" {
			t.Errorf("alice: %q", got)
		}
		if got := cookie(t, k, &url.URL{Scheme: "http", Host: "orders.example", Path: "/b"}, "alice"); strings.Contains(got, "narrow") || !strings.Contains(got, "session=secret-1") {
			t.Errorf("alice elsewhere: %q", got)
		}
		if got := cookie(t, k, where, "bob"); got != "" {
			t.Errorf("bob: %q", got)
		}
	}
	k.Keep(t.Context(), set("session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/", "narrow=m; Path=/a"), where, "alice")
	for _, k := range []*Keeper{k, b.keeper(auth)} {
		if got := cookie(t, k, where, "alice"); got != "narrow=m; later=l" {
			t.Errorf("after the log-out: %q", got)
		}
	}
	row, err := b.mem.Credential(t.Context(), "orders", kindCookies, "alice")
	if err != nil || bytes.Contains(row.Sealed, []byte("later")) {
		t.Errorf("stored in clear: %v", err)
	}
	foreign := newBed(t)
	foreign.opts.Vault = b.mem
	if got := cookie(t, foreign.keeper(auth), where, "alice"); got != "" || !strings.Contains(foreign.log.String(), "log in again") {
		t.Errorf("opened by another identity: %q", got)
	}
}

// TestJarIsBounded: a server cannot make this site keep more and more.
func TestJarIsBounded(t *testing.T) {
	b := newBed(t)
	k := b.keeper(&config.Auth{Cookies: true})
	for i := range 100 {
		k.Keep(t.Context(), set(fmt.Sprintf("c%d=%d; Path=/", i, i), "big="+strings.Repeat("x", 5000)), where, "alice")
	}
	got := cookie(t, k, where, "alice")
	if n := strings.Count(got, "="); n != maxCookies || !strings.Contains(got, "c99=99") || strings.Contains(got, "c1=1;") || strings.Contains(got, "big") {
		t.Errorf("%d cookies: %.200s", n, got)
	}
	for i := range maxJars + 10 {
		cookie(t, k, where, fmt.Sprint(i))
	}
	if n := len(k.jars.open); n > maxJars {
		t.Errorf("%d jars in memory", n)
	}
	if again := cookie(t, k, where, "alice"); strings.Count(again, "=") != maxCookies {
		t.Errorf("a jar that left memory is empty: %.100s", again)
	}
}
