package credentials

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/store"
)

const (
	kindToken = "oauth2"
	// renewAt is the part of a token's life after which a new one is got, while the old one still serves.
	renewAt = 0.8
	// youngest is how old a token must be for a 401 to count against it: a server that refuses every token must not
	// have one made for each call.
	youngest = time.Second
	// fetchTime bounds one call of the token server, seconds.
	fetchTime = 30 * time.Second
	// firstPause and longestPause bound the time between failed calls of the token server.
	firstPause   = time.Second
	longestPause = time.Minute
	longestAsked = time.Hour // that a token server may ask for by Retry-After
)

// token is one access token, and how to get the next.
type token struct {
	Access  string    `json:"access"`
	Type    string    `json:"type"`
	Refresh string    `json:"refresh,omitzero"`
	Got     time.Time `json:"got"`
	Expires time.Time `json:"expires,omitzero"` // zero: not told
	// For is a digest of the configuration that the token was got by: with another one it is worth nothing.
	For string `json:"for"`

	life time.Duration // as the server told it; 0: not told
}

// fresh, due and dead are the stages of a token's life.
func (t *token) dead(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

func (t *token) due(now time.Time) bool {
	if t.Expires.IsZero() {
		return false
	}
	return now.Sub(t.Got) >= time.Duration(renewAt*float64(t.Expires.Sub(t.Got)))
}

// tokens keeps the token of one upstream, with one request for a new one at a time, however many calls wait.
type tokens struct {
	upstream string
	source   *source
	vault    Vault
	sealer   Sealer
	log      zerolog.Logger
	now      func() time.Time

	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	loaded  bool
	from    string // digest of what current and refresh were got by, see source.digest
	files   string // digest of all files of the configuration when it was last asked
	current *token
	refresh string // the newest refresh token, "" for that of the configuration
	flight  chan struct{}
	failed  *Error // of the last request, nil if it worked
	pause   time.Duration
	retry   time.Time // not asked again before
}

func newTokens(upstream string, c *config.OAuth2, o Options) (*tokens, error) {
	source, err := newSource(c, o.Client)
	if err != nil {
		return nil, err
	}
	t := &tokens{upstream: upstream, source: source, vault: o.Vault, sealer: o.Sealer, log: o.Log, now: o.Now}
	if t.now == nil {
		t.now = time.Now
	}
	t.ctx, t.stop = context.WithCancel(context.Background())
	return t, nil
}

func (t *tokens) close() {
	t.stop()
	t.wg.Wait()
}

// get gives a token that is alive, and has the next one got in time.
func (t *tokens) get(ctx context.Context) (*token, error) {
	for {
		t.mu.Lock()
		t.load()
		t.changed()
		now := t.now()
		if t.current != nil && !t.current.dead(now) {
			if t.current.due(now) {
				t.begin(now)
			}
			c := t.current
			t.mu.Unlock()
			return c, nil
		}
		t.begin(now)
		flight, failed := t.flight, t.failed
		t.mu.Unlock()
		if flight == nil {
			return nil, failed // it is too early to ask again
		}
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		t.mu.Lock()
		c, failed := t.current, t.failed
		t.mu.Unlock()
		if failed != nil {
			return nil, failed
		}
		if c != nil {
			return c, nil // however short its life: asking again would bring no better one
		}
	}
}

// begin has a token got unless that is under way, or failed a moment ago.
func (t *tokens) begin(now time.Time) {
	if t.flight != nil || t.failed != nil && now.Before(t.retry) || t.ctx.Err() != nil {
		if t.ctx.Err() != nil && t.failed == nil {
			t.failed = &Error{Reason: "the site is stopping"}
		}
		return
	}
	done := make(chan struct{})
	t.flight = done
	refresh := t.refresh
	t.wg.Go(func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(t.ctx, fetchTime)
		defer cancel()
		next, err := t.source.fetch(ctx, refresh)
		if err == nil {
			next.Got = t.now()
			if next.life > 0 {
				next.Expires = next.Got.Add(next.life)
			}
			next.For = t.source.digest()
			t.save(next)
		}
		t.ended(next, err)
	})
}

// ended takes what became of a request.
func (t *tokens) ended(next *token, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flight = nil
	now := t.now()
	if err == nil {
		t.current, t.failed, t.pause = next, nil, 0
		if next.Refresh != "" {
			t.refresh = next.Refresh
		}
		t.log.Debug().Str("upstream", t.upstream).Time("expires", next.Expires).Msg("a token was got")
		return
	}
	if !errors.As(err, &t.failed) {
		t.failed = &Error{Reason: "the token server could not be asked", err: err}
	}
	t.pause = min(max(firstPause, 2*t.pause), longestPause)
	t.retry = now.Add(max(t.pause, min(t.source.asked(err), longestAsked)))
	t.log.Warn().Str("upstream", t.upstream).Str("err", t.failed.Error()).Time("again", t.retry).Msg("no token could be got")
}

// refused throws a token away that a server did not accept. Of many calls with the same one the first does it; the
// others just try again with the next.
func (t *tokens) refused(access string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == nil || t.current.Access != access {
		return true
	}
	if t.now().Sub(t.current.Got) < youngest {
		return false
	}
	t.current = nil
	return true
}

func (t *tokens) failing() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		return ""
	}
	return t.failed.Reason
}

// load takes the stored token, once. It runs under the lock: nobody can go on without.
func (t *tokens) load() {
	if t.loaded {
		return
	}
	t.loaded = true
	row, err := t.vault.Credential(t.ctx, t.upstream, kindToken, "")
	if errors.Is(err, store.ErrNotFound) {
		return
	}
	var stored token
	if err == nil {
		var plain []byte
		if plain, err = t.sealer.Open(row.Sealed, purpose(t.upstream, kindToken, "")); err == nil {
			err = json.Unmarshal(plain, &stored)
		}
	}
	if err != nil {
		t.log.Warn().Str("upstream", t.upstream).Err(err).Msg("the stored token cannot be used; a new one will be got")
		return
	}
	if stored.For != t.source.digest() {
		return
	}
	t.current, t.refresh = &stored, stored.Refresh
}

// changed begins anew when a file of the configuration has changed: what was got by the old one is worth nothing, and a failure
// may be mended. Called with the lock held.
func (t *tokens) changed() {
	if t.flight != nil {
		return
	}
	from, files := t.source.digest(), t.source.files()
	if t.from != "" && t.from != from {
		t.current, t.refresh = nil, ""
	}
	if t.files != "" && t.files != files {
		t.failed, t.pause, t.retry = nil, 0, time.Time{}
		t.log.Info().Str("upstream", t.upstream).Msg("credentials for the token server have changed")
	}
	t.from, t.files = from, files
}

// save stores the token before it is used: a refresh token that replaces the last one must not be lost. Where that
// fails it is used all the same, since the old one is gone anyway.
func (t *tokens) save(next *token) {
	plain, err := json.Marshal(next)
	if err == nil {
		var b store.Batch
		b.PutCredential(store.Credential{Upstream: t.upstream, Kind: kindToken, At: next.Got, Sealed: t.sealer.Seal(plain, purpose(t.upstream, kindToken, ""))})
		err = t.vault.Commit(context.WithoutCancel(t.ctx), &b)
	}
	if err != nil {
		t.log.Error().Str("upstream", t.upstream).Err(err).Msg("a token could not be stored; after a restart a new one will be got")
	}
}

// purpose ties what is sealed to its row.
func purpose(upstream, kind, owner string) string {
	return "credential\n" + upstream + "\n" + kind + "\n" + owner
}

// digest says what of the configuration a token depends on; secrets count by their hash.
func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
