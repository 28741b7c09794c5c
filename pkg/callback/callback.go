// Package callback sends the outcome of exchanges to receivers that callers name: signed, again until it is taken, and to no other place.
package callback

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/store"
)

const (
	// together is how many callbacks are under way at most, perHost to one host.
	together = 16
	perHost  = 4
	// afterFailure is the pause after the store failed.
	afterFailure = 5 * time.Second
	// stopGrace is how long those under way may end when the site stops: one that was cut may come twice.
	stopGrace = 5 * time.Second
)

// Store is what is needed of a store.
type Store interface {
	store.Committer
	CallbacksDue(ctx context.Context, at time.Time, limit int) ([]store.Callback, error)
	Callback(ctx context.Context, id string) (store.Callback, error)
	Disabled(ctx context.Context, url string) (time.Time, error)
}

// Answers is what is told of; *exchange.Manager has it.
type Answers interface {
	State(ctx context.Context, id exchange.ID) (*exchange.State, error)
	Result(ctx context.Context, id exchange.ID) (*exchange.Response, error)
}

// Options says what a Sender works with.
type Options struct {
	Config   config.Callbacks
	StateDir string
	Site     string           // its name
	Blocked  []netip.AddrPort // hoft's own listeners
	Store    Store
	Answers  Answers
	Now      func() time.Time // nil: time.Now
	Log      zerolog.Logger
}

// Sender sends what is due. Safe for concurrent use.
type Sender struct {
	site      string
	receivers receivers
	kept      *identity.Kept
	store     Store
	answers   Answers
	now       func() time.Time
	log       zerolog.Logger
	wake      chan struct{}

	mu      sync.Mutex
	secrets secrets         // the last that were good
	busy    map[string]bool // ids under way
	wg      sync.WaitGroup
}

// New checks the configuration and loads the secret, which is made where there is none.
func New(o Options) (s *Sender, err error) {
	s = &Sender{site: o.Site, store: o.Store, answers: o.Answers, now: o.Now, log: o.Log, wake: make(chan struct{}, 1), busy: map[string]bool{}}
	if s.now == nil {
		s.now = time.Now
	}
	if s.receivers, err = newReceivers(o.Config.Allow, o.Blocked); err != nil {
		return nil, err
	}
	if s.kept, err = keepSecrets(o.Config.SecretFile, o.StateDir); err != nil {
		return nil, err
	}
	s.signing()
	return s, nil
}

// Wake tells that something may have become due.
func (s *Sender) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run sends until ctx ends; what is under way then may end.
func (s *Sender) Run(ctx context.Context) {
	defer s.receivers.close()
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		next, err := s.begin(ctx, work)
		if err != nil && ctx.Err() == nil {
			s.log.Error().Err(err).Msg("callbacks cannot be read; trying again")
			next = s.now().Add(afterFailure)
		}
		if timer.Stop(); !next.IsZero() {
			timer.Reset(max(next.Sub(s.now()), time.Millisecond))
		}
		select {
		case <-timer.C:
		case <-s.wake:
		case <-ctx.Done():
		}
	}
	grace := time.AfterFunc(stopGrace, cut)
	defer grace.Stop()
	s.wg.Wait()
}

// begin starts what is due and not under way. next is when more becomes due; zero: nothing known, or all hands are full
// and the end of one is a signal.
func (s *Sender) begin(ctx, work context.Context) (next time.Time, err error) {
	s.mu.Lock() // before the rows are read: one whose try ends meanwhile is still busy in what follows, so none is sent by a stale row
	defer s.mu.Unlock()
	now := s.now()
	due, err := s.store.CallbacksDue(ctx, now.Add(100*365*24*time.Hour), 2*together)
	if err != nil {
		return next, err
	}
	for _, c := range due {
		switch {
		case s.busy[c.ID]:
		case c.Next.After(now):
			return c.Next, nil
		case len(s.busy) >= together:
			return time.Time{}, nil
		default:
			s.busy[c.ID] = true
			s.wg.Go(func() { s.one(work, c) })
		}
	}
	return next, nil
}

// one makes one try and stores what came of it.
func (s *Sender) one(ctx context.Context, c store.Callback) {
	defer func() {
		s.mu.Lock()
		delete(s.busy, c.ID)
		s.mu.Unlock()
		s.Wake()
	}()
	out := s.try(ctx, &c)
	if out.cut {
		return // the site stops: it is tried again at the next start
	}
	var b store.Batch
	if out.disable {
		b.Disable(c.URL, s.now())
	}
	b.SetCallback(out.row)
	if err := s.store.Commit(context.WithoutCancel(ctx), &b); err != nil {
		s.log.Error().Str("webhook_id", c.ID).Err(err).Msg("the outcome of a callback cannot be stored; it will be sent again")
		select { // holds one hand: a failing disk is no reason to send without end
		case <-time.After(afterFailure):
		case <-ctx.Done():
		}
	}
}

// ErrUnknown says that there is no such callback.
var ErrUnknown = errors.New("no such callback")

// Replay has a callback sent again, whatever came of it, and its receiver enabled again.
func (s *Sender) Replay(ctx context.Context, id string) error {
	c, err := s.store.Callback(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return ErrUnknown
	}
	if err != nil {
		return err
	}
	if _, err := s.receivers.find(c.URL); err != nil {
		return fmt.Errorf("callback %s: %w", id, err)
	}
	var b store.Batch
	b.Disable(c.URL, time.Time{})
	c.State, c.Tries, c.Next, c.Error = store.CallbackDue, 0, s.now(), ""
	b.SetCallback(c)
	if err := s.store.Commit(ctx, &b); err != nil {
		return err
	}
	s.Wake()
	return nil
}

// chance is a number from 0 to 1.
func chance() float64 { return rand.Float64() }
