package ingress

import (
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
)

// Limits is how much may be asked of this site; zero members are no limits.
type Limits struct {
	CallerCalls, CallerBytes config.Rate
	PeerCalls, PeerBytes     config.Rate
}

// ReadLimits reads the rates of a validated configuration.
func ReadLimits(c config.Limits) (l Limits, err error) {
	for _, r := range []struct {
		text  string
		bytes bool
		to    *config.Rate
	}{{c.CallerCalls, false, &l.CallerCalls}, {c.CallerBytes, true, &l.CallerBytes}, {c.PeerCalls, false, &l.PeerCalls}, {c.PeerBytes, true, &l.PeerBytes}} {
		if *r.to, err = config.ParseRate(r.text, r.bytes); err != nil {
			return l, fmt.Errorf("limits: %w", err)
		}
	}
	return l, nil
}

// meters count what each caller, or each peer, has asked for. One that is quiet long enough to have its whole
// allowance again is forgotten. The zero value limits nothing; safe for concurrent use.
type meters struct {
	what         string // whose allowance it is, for people
	calls, bytes config.Rate

	mu    sync.Mutex
	by    map[string]*meter
	swept time.Time
}

type meter struct {
	calls, bytes *rate.Limiter
}

func limiter(r config.Rate) *rate.Limiter {
	if r.N == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(float64(r.N)/r.Per.Seconds()), int(r.N))
}

func (m *meters) of(name string, now time.Time) *meter {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.by == nil {
		m.by = map[string]*meter{}
	}
	m.sweep(now)
	x := m.by[name]
	if x == nil {
		x = &meter{calls: limiter(m.calls), bytes: limiter(m.bytes)}
		m.by[name] = x
	}
	return x
}

// sweep forgets full meters, once for every longest period.
func (m *meters) sweep(now time.Time) {
	if now.Sub(m.swept) < max(m.calls.Per, m.bytes.Per) {
		return
	}
	m.swept = now
	for name, x := range m.by {
		if full(x.calls, now) && full(x.bytes, now) {
			delete(m.by, name)
		}
	}
}

func full(l *rate.Limiter, now time.Time) bool {
	return l == nil || l.TokensAt(now) >= float64(l.Burst())
}

// take lets one call through, or says when to come again. Bytes are charged as they are read: who has asked for too
// many waits until the debt is paid.
func (m *meters) take(name string, now time.Time) *exchange.Problem {
	if m.calls.N == 0 && m.bytes.N == 0 {
		return nil
	}
	x := m.of(name, now)
	if x.bytes != nil {
		if have := x.bytes.TokensAt(now); have < 1 {
			return m.refuse("bytes", time.Duration((1-have)/float64(x.bytes.Limit())*float64(time.Second)))
		}
	}
	if x.calls == nil || x.calls.AllowN(now, 1) {
		return nil
	}
	return m.refuse("calls", time.Duration((1-x.calls.TokensAt(now))/float64(x.calls.Limit())*float64(time.Second)))
}

func (m *meters) refuse(of string, after time.Duration) *exchange.Problem {
	p := exchange.Problemf(exchange.CodeRate, "more %s than %s", of, m.what)
	p.RetryAfter = max(1, int((after+time.Second-1)/time.Second))
	return p
}

// charge counts bytes that were read.
func (m *meters) charge(name string, n int, now time.Time) {
	if m.bytes.N == 0 {
		return
	}
	l := m.of(name, now).bytes
	for n > 0 {
		piece := min(n, l.Burst())
		l.ReserveN(now, piece)
		n -= piece
	}
}

// party is who a call counts for: the caller's name, or else its address.
func party(r *exchange.Request) string {
	if r.Owner != "" {
		return r.Owner
	}
	return r.Client
}

// admit counts a call; the body is charged as it is read.
func (c *call) admit() *exchange.Problem {
	now, who, peer := time.Now(), party(c.out), c.rt.peerName
	if p := c.s.callerMeters.take(who, now); p != nil {
		return p
	}
	if p := c.s.peerMeters.take(peer, now); p != nil {
		return p
	}
	if c.out.Body != nil && (c.s.callerMeters.bytes.N > 0 || c.s.peerMeters.bytes.N > 0) {
		c.out.Body = &charged{Reader: c.out.Body, with: func(n int) {
			now := time.Now()
			c.s.callerMeters.charge(who, n, now)
			c.s.peerMeters.charge(peer, n, now)
		}}
	}
	return nil
}

// charged tells how much was read.
type charged struct {
	io.Reader
	with func(n int)
}

func (c *charged) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.with(n)
	return n, err
}
