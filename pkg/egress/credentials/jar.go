package credentials

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/rs/zerolog"
	"golang.org/x/net/publicsuffix"

	"github.com/hoft/hoft/pkg/store"
)

const (
	kindCookies = "cookies"
	// jarLife is how long a jar is kept that nothing was put into.
	jarLife = 90 * 24 * time.Hour
	// Bounds of one jar, and of jars in memory: what a server may make this site keep.
	maxCookies = 64
	maxCookie  = 4 << 10
	maxJars    = 1024
)

// jars keeps the cookies of one upstream, a jar for each owner. Which cookie goes where is net/http/cookiejar's
// knowledge (RFC 6265 section 5); what is in a jar is kept beside it, because it cannot be read back.
type jars struct {
	upstream string
	vault    Vault
	sealer   Sealer
	log      zerolog.Logger

	mu   sync.Mutex
	open map[string]*jar
}

type jar struct {
	match   *cookiejar.Jar
	cookies map[string]*kept // by name, domain and path
	used    time.Time
}

// kept is one cookie as it was set.
type kept struct {
	From    string    `json:"from"` // URL of the answer
	Line    string    `json:"line"` // as Set-Cookie has it, with an absolute end
	Expires time.Time `json:"expires,omitzero"`
	At      time.Time `json:"at"`
}

func newJars(upstream string, o Options) *jars {
	return &jars{upstream: upstream, vault: o.Vault, sealer: o.Sealer, log: o.Log, open: map[string]*jar{}}
}

// cookies is the Cookie field for a request, "" for none.
func (j *jars) cookies(ctx context.Context, owner string, u *url.URL) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var parts []string
	for _, c := range j.jar(ctx, owner).match.Cookies(u) {
		parts = append(parts, c.String())
	}
	return strings.Join(parts, "; ")
}

// keep takes the cookies of an answer. A jar that changed is stored before the answer goes on, so that a caller that
// has seen its log-in succeed is logged in after a crash too.
func (j *jars) keep(ctx context.Context, owner string, u *url.URL, h http.Header) {
	lines := h["Set-Cookie"]
	if len(lines) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	b := j.jar(ctx, owner)
	now := time.Now()
	for _, line := range lines {
		c, err := http.ParseSetCookie(line)
		if err != nil || len(line) > maxCookie {
			continue
		}
		b.put(c, u, now)
	}
	b.limit()
	j.save(ctx, owner, b, now)
}

// put sets or deletes one cookie.
func (b *jar) put(c *http.Cookie, u *url.URL, now time.Time) {
	switch {
	case c.MaxAge > 0:
		c.Expires = now.Add(time.Duration(min(c.MaxAge, 400*24*3600)) * time.Second)
	case c.MaxAge < 0:
		c.Expires = time.Unix(1, 0)
	}
	c.MaxAge, c.RawExpires = 0, ""
	b.match.SetCookies(u, []*http.Cookie{c})
	key := c.Name + "\x00" + strings.ToLower(c.Domain) + "\x00" + cmp.Or(c.Path, defaultPath(u))
	if !c.Expires.IsZero() && !c.Expires.After(now) {
		delete(b.cookies, key)
		return
	}
	b.cookies[key] = &kept{From: (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String(), Line: c.String(), Expires: c.Expires, At: now}
}

// defaultPath is that of a cookie without a path (RFC 6265 section 5.1.4).
func defaultPath(u *url.URL) string {
	i := strings.LastIndexByte(u.Path, '/')
	if i <= 0 {
		return "/"
	}
	return u.Path[:i]
}

// limit drops what has ended, then the oldest beyond maxCookies.
func (b *jar) limit() {
	now := time.Now()
	var keys []string
	for k, c := range b.cookies {
		if !c.Expires.IsZero() && !c.Expires.After(now) {
			delete(b.cookies, k)
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) <= maxCookies {
		return
	}
	slices.SortFunc(keys, func(x, y string) int {
		return cmp.Or(b.cookies[x].At.Compare(b.cookies[y].At), strings.Compare(x, y))
	})
	for _, k := range keys[:len(keys)-maxCookies] {
		delete(b.cookies, k)
	}
	b.rebuild()
}

// rebuild makes the matching jar anew from what is kept.
func (b *jar) rebuild() {
	b.match, _ = cookiejar.New(&cookiejar.Options{PublicSuffixList: publicsuffix.List}) // it never fails
	for _, k := range b.cookies {
		u, err := url.Parse(k.From)
		c, cerr := http.ParseSetCookie(k.Line)
		if err == nil && cerr == nil {
			b.match.SetCookies(u, []*http.Cookie{c})
		}
	}
}

// jar gives the owner's jar: the one in memory, the stored one, or a new one.
func (j *jars) jar(ctx context.Context, owner string) *jar {
	now := time.Now()
	if b := j.open[owner]; b != nil {
		b.used = now
		return b
	}
	b := &jar{cookies: map[string]*kept{}, used: now}
	if err := j.load(ctx, owner, b); err != nil {
		j.log.Warn().Str("upstream", j.upstream).Err(err).Msg("stored cookies cannot be used; the caller has to log in again")
		clear(b.cookies)
	}
	b.rebuild()
	if len(j.open) >= maxJars {
		j.closeOne()
	}
	j.open[owner] = b
	return b
}

// closeOne takes the jar out of memory that was not used for longest; it is stored.
func (j *jars) closeOne() {
	oldest := ""
	for owner, b := range j.open {
		if oldest == "" || b.used.Before(j.open[oldest].used) {
			oldest = owner
		}
	}
	delete(j.open, oldest)
}

func (j *jars) load(ctx context.Context, owner string, b *jar) error {
	row, err := j.vault.Credential(context.WithoutCancel(ctx), j.upstream, kindCookies, owner)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	plain, err := j.sealer.Open(row.Sealed, purpose(j.upstream, kindCookies, owner))
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, &b.cookies)
}

func (j *jars) save(ctx context.Context, owner string, b *jar, now time.Time) {
	plain, err := json.Marshal(b.cookies)
	if err == nil {
		var batch store.Batch
		batch.PutCredential(store.Credential{Upstream: j.upstream, Kind: kindCookies, Owner: owner, At: now, Sealed: j.sealer.Seal(plain, purpose(j.upstream, kindCookies, owner))})
		batch.PruneCredentials(kindCookies, now.Add(-jarLife))
		err = j.vault.Commit(context.WithoutCancel(ctx), &batch)
	}
	if err != nil {
		j.log.Error().Str("upstream", j.upstream).Err(err).Msg("cookies could not be stored; after a restart the caller has to log in again")
	}
}
