package egress

import (
	"errors"
	"math"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
)

// breaker leaves a server alone that failed many times in a row. What comes back as an answer, whatever its
// status, is no failure: the callee decides what that means. Safe for concurrent use.
type breaker struct {
	two   *gobreaker.TwoStepCircuitBreaker[struct{}] // nil: none
	pause time.Duration

	mu    sync.Mutex
	since time.Time // of the present state
	last  string    // code of the last failure
	row   int       // failures in a row, also beyond those that opened it
}

// errNeither is an end that tells nothing of the server.
var errNeither = errors.New("neither a success nor a failure")

func newBreaker(c config.Upstream) *breaker {
	b := &breaker{pause: c.BreakerPause}
	if c.BreakerFailures <= 0 {
		return b
	}
	most := uint32(min(c.BreakerFailures, math.MaxUint32))
	b.two = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        c.Name,
		MaxRequests: 1,
		Timeout:     c.BreakerPause,
		ReadyToTrip: func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= most },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNeither) },
		OnStateChange: func(string, gobreaker.State, gobreaker.State) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.since = time.Now()
		},
	})
	return b
}

// begin asks whether a call may be made; done must be called once with how it ended.
func (b *breaker) begin(name string) (done func(*exchange.Problem), p *exchange.Problem) {
	if b.two == nil {
		return func(*exchange.Problem) {}, nil
	}
	end, err := b.two.Allow()
	if err != nil {
		return nil, exchange.Problemf(exchange.CodeCalleeAway, "the server behind upstream %q failed several times in a row and is left alone for %ds",
			name, max(1, int(math.Ceil(b.left().Seconds()))))
	}
	return func(p *exchange.Problem) {
		switch {
		case p == nil:
			b.note("")
			end(nil)
		case !callees[p.Code]:
			end(errNeither)
		default:
			b.note(p.Code)
			end(p)
		}
	}, nil
}

// note counts a failure by its code, or with "" a success.
func (b *breaker) note(code string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if code == "" {
		b.row = 0
		return
	}
	b.last, b.row = code, b.row+1
}

// callees are the problems that speak of the server.
var callees = map[string]bool{exchange.CodeCalleeRefused: true, exchange.CodeCalleeDNS: true, exchange.CodeCalleeTLS: true,
	exchange.CodeCalleeTimeout: true, exchange.CodeCalleeBroken: true}

// left is how much of the pause is left.
func (b *breaker) left() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, b.pause-time.Since(b.since))
}

// Health is what an upstream's breaker knows of its server.
type Health struct {
	Name     string
	State    string        // closed: calls are made; open: none is; half-open: one tries; off: there is no breaker
	Failures int           // in a row
	Last     string        // code of the last failure, "" if there was none
	RetryIn  time.Duration // while open
	Login    string        // why there is nothing valid to show the server, "" while all is well
}

func (u *upstream) health() Health {
	h := Health{Name: u.name, State: "off", Login: u.keeper.Failing()}
	if u.breaker.two == nil {
		return h
	}
	h.State = u.breaker.two.State().String()
	if h.State == "open" {
		h.RetryIn = u.breaker.left()
	}
	u.breaker.mu.Lock()
	defer u.breaker.mu.Unlock()
	h.Last, h.Failures = u.breaker.last, u.breaker.row
	return h
}

// Health gives the state of every upstream in the order of the configuration.
func (e *Egress) Health() []Health {
	out := make([]Health, len(e.order))
	for i, u := range e.order {
		out[i] = u.health()
	}
	return out
}
