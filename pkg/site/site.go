// Package site assembles one running site from its configuration: keys, pipe, store, node, exchanges and faces.
package site

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/admin"
	"github.com/hoft/hoft/pkg/callback"
	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/dataapi"
	"github.com/hoft/hoft/pkg/datapipe"
	"github.com/hoft/hoft/pkg/egress"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/ingress"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/store"
)

// Roles says which faces a site shows.
type Roles struct{ Ingress, Egress bool }

// Site is one site, opened and ready to run. Its methods are for one goroutine, but where they say otherwise.
type Site struct {
	cfg        *config.Config
	log        zerolog.Logger
	self       *identity.Site
	peers      []*identity.Peer
	db         *store.SQLite
	chunks     *chunk.Store
	seals      map[identity.ID]*chunk.Sealer // what seals chunks for each peer
	signed     map[identity.ID]bool          // peers with seal: signed
	pipe       *pipe.Dir
	node       *node.Node
	manager    *exchange.Manager
	stored     *datapipe.Pipe // the way of stored data; before the manager
	egress     *egress.Egress
	ingress    *ingress.Server
	callbacks  *callback.Sender   // nil: no callbacks
	listen     net.Listener       // of the ingress; nil without one
	data       *dataapi.Server    // nil: no Data API
	moves      *ingress.Resources // shows what it fetches and sends
	dataListen net.Listener
	places     *admin.Listeners
	admin      *admin.Server
	started    time.Time
}

// Open loads keys, locks and opens the state, tries the folders and binds the listeners. Whatever is
// wrong is told with its mend before any file is written for a peer.
func Open(cfg *config.Config, roles Roles, log zerolog.Logger) (_ *Site, err error) {
	s := &Site{cfg: cfg, log: log, started: time.Now()}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := s.loadKeys(); err != nil {
		return nil, err
	}
	if s.db, err = store.Open(cfg.StateDir, store.Options{SecureDelete: cfg.Results.SecureDelete}); err != nil {
		return nil, err
	}
	if err := s.openChunks(); err != nil {
		return nil, err
	}
	if err := s.openPipe(); err != nil {
		return nil, err
	}
	if roles.Ingress {
		if s.listen, err = net.Listen("tcp", cfg.Ingress.Listen); err != nil {
			return nil, fmt.Errorf("ingress.listen %s: %w; is another program on this port?", cfg.Ingress.Listen, err)
		}
	}
	if err := s.openData(); err != nil {
		return nil, err
	}
	if s.places, err = admin.Bind(cfg.StateDir, cfg.Admin.Listen); err != nil {
		return nil, err
	}
	if roles.Egress {
		box, err := s.self.Box()
		if err != nil {
			return nil, err
		}
		secrets := egress.Secrets{Vault: s.db, Sealer: box}
		if s.egress, err = egress.New(*cfg.Egress, cfg.Name, s.peerNames(), s.ownListeners(), secrets, log.With().Str("component", "egress").Logger()); err != nil {
			return nil, err
		}
	}
	if err := s.buildNode(); err != nil {
		return nil, err
	}
	if roles.Ingress {
		ids := map[string]identity.ID{}
		for _, p := range s.peers {
			ids[p.Name] = p.ID
		}
		if s.ingress, err = ingress.New(*cfg.Ingress, cfg.Name, ids, s.manager, log.With().Str("component", "ingress").Logger()); err != nil {
			return nil, err
		}
		limits, err := ingress.ReadLimits(cfg.Limits)
		if err != nil {
			return nil, err
		}
		o := ingress.Options{Limits: limits}
		if s.data != nil {
			o.Stored = s.data
		}
		if len(cfg.Callbacks.Allow) > 0 {
			if s.callbacks, err = callback.New(callback.Options{Config: cfg.Callbacks, StateDir: cfg.StateDir, Site: cfg.Name, Blocked: s.ownListeners(),
				Store: s.db, Answers: s.manager, Log: log.With().Str("component", "callback").Logger()}); err != nil {
				return nil, err
			}
			o.Receivers = s.callbacks
		}
		s.ingress.With(o)
	}
	s.admin = admin.NewServer(s.places, admin.NewMonitor(s.watched(roles), s.places.Listen()), log.With().Str("component", "admin").Logger())
	return s, nil
}

func (s *Site) loadKeys() (err error) {
	if s.self, err = identity.Load(s.cfg.StateDir); err != nil {
		return err
	}
	if s.self.Name() != s.cfg.Name {
		return fmt.Errorf("%w: name: %q in the configuration, but the identity in %s is named %q; use the identity's name",
			ErrName, s.cfg.Name, s.cfg.StateDir, s.self.Name())
	}
	entries := make([]identity.Entry, len(s.cfg.Peers))
	for i, p := range s.cfg.Peers {
		entries[i] = identity.Entry{Name: p.Name, Keys: p.Keys}
	}
	s.peers, err = identity.Resolve(s.cfg.StateDir, s.self, entries)
	s.signed = map[identity.ID]bool{}
	for i, p := range s.peers {
		s.signed[p.ID] = s.cfg.Peers[i].Signed()
	}
	return err
}

// ErrName says that configuration and identity name this site differently.
var ErrName = errors.New("wrong name")

func (s *Site) openPipe() error {
	p := s.cfg.Pipe
	fileMode, err := pipe.ParseMode(p.FileMode)
	if err != nil {
		return fmt.Errorf("pipe.file_mode: %w", err)
	}
	dirMode, err := pipe.ParseMode(p.DirMode)
	if err != nil {
		return fmt.Errorf("pipe.dir_mode: %w", err)
	}
	quarantine := filepath.Join(s.cfg.StateDir, "quarantine")
	if p.Quarantine == 0 {
		quarantine = "" // none: refused files are removed without a copy
	}
	ids := make([]identity.ID, len(s.peers))
	for i, peer := range s.peers {
		ids[i] = peer.ID
	}
	s.pipe, err = pipe.OpenDir(pipe.Options{Self: s.self.ID(), Peers: ids, Outbox: p.Outbox, Inbox: p.Inbox, TempDir: p.TempDir,
		QuarantineDir: quarantine, Flat: p.Layout == "flat", Suffix: p.Suffix, FileMode: fileMode, DirMode: dirMode,
		Fsync: p.Fsync, Private: p.Private, Keep: p.Consume == "keep", Settle: p.Settle, PollMin: p.PollMin, PollMax: p.PollMax, MaxFile: int64(p.MaxFile),
		ScanFiles: p.ScanFiles, ScanBytes: int64(p.ScanBytes), QuarantineBytes: int64(p.Quarantine)})
	if err != nil {
		return err
	}
	return s.pipe.Check()
}

func (s *Site) buildNode() error {
	opener, sealers, err := s.sealing()
	if err != nil {
		return err
	}
	peers := make([]node.Peer, len(s.peers))
	for i, p := range s.peers {
		peers[i] = node.Peer{ID: p.ID, Name: p.Name, Sealer: sealers[i], Signed: s.signed[p.ID]}
		if s.signed[p.ID] {
			s.log.Warn().Str("peer", p.Name).Msg("seal: signed: whoever reaches the pipe's folders can read every call to and from this peer")
		}
	}
	cfg := s.cfg
	packs, err := s.packs()
	if err != nil {
		return err
	}
	whole := s.canClone() || cfg.Pipe.Private
	if whole {
		packs.Apart = 1 << 20
	}
	s.node = node.New(node.Options{Self: s.self.ID(), Peers: peers, Opener: opener, Pipe: s.pipe, Store: s.db,
		Chunks: s.chunks, Links: &node.Links{Pipe: s.pipe, Chunks: s.chunks}, Bulk: packs,
		Log: s.log.With().Str("component", "node").Logger(),
		Link: link.Config{Caps: exchange.Caps(true), AckDelay: cfg.Link.AckDelay, Heartbeat: cfg.Link.Heartbeat, InitialRTT: cfg.Link.InitialRTT,
			MaxFiles: cfg.Pipe.MaxFiles, MaxFile: int64(cfg.Pipe.MaxFile), Pipe: strings.ToValidUTF8(cfg.Pipe.Outbox, "?"),
			WindowMessages: cfg.Limits.TransitMessages, WindowBytes: int(cfg.Limits.TransitBytes)},
		Limits: node.Limits{OutboxMessages: int64(cfg.Limits.OutboxMessages), OutboxBytes: int64(cfg.Limits.OutboxBytes)}})
	mc := exchange.Config{Peers: s.peerNames(), Exchanges: cfg.Limits.Exchanges, TTL: cfg.Results.TTL, MaxBytes: int64(cfg.Results.MaxBytes),
		Flight: exchange.Flight{Caller: cfg.Limits.CallerInFlight, Peer: cfg.Limits.PeerInFlight}, Log: s.log.With().Str("component", "exchange").Logger()}
	mc.Share = int64(cfg.Limits.PeerStored)
	mc.Chunks, mc.Sealer, mc.Signed = s.chunks, s.chunkSealer, s.signed
	if whole {
		mc.Apart = func() exchange.Run { return s.chunks.Begin() }
	}
	if err := s.boundResults(&mc); err != nil {
		return err
	}
	if cfg.Results.SecureDelete {
		mc.Scrub = s.db.Scrub
	}
	mc.CallbackDue = func() {
		if s.callbacks != nil {
			s.callbacks.Wake()
		}
	}
	if cfg.Ingress != nil {
		mc.Inline = int(cfg.Ingress.Inline)
	}
	if s.egress != nil {
		mc.Upstreams = s.egress
		mc.Remember = cfg.Egress.Remember
		mc.Honoured = s.honoured
	}
	return s.buildManager(mc)
}

// honoured says whether an upstream is known to honour Idempotency-Key.
func (s *Site) honoured(upstream string) bool {
	for _, u := range s.cfg.Egress.Upstreams {
		if u.Name == upstream {
			return u.IdempotencyKey == "honoured"
		}
	}
	return false
}

func (s *Site) peerNames() map[identity.ID]string {
	names := map[identity.ID]string{}
	for _, p := range s.peers {
		names[p.ID] = p.Name
	}
	return names
}

// ownListeners are the addresses that no call may reach: a call to them would be a loop.
func (s *Site) ownListeners() []netip.AddrPort {
	var out []netip.AddrPort
	if s.listen != nil {
		if a, ok := s.listen.Addr().(*net.TCPAddr); ok {
			out = append(out, a.AddrPort())
		}
	}
	for _, addr := range []net.Addr{s.places.Addr(), s.DataAddr()} {
		if a, ok := addr.(*net.TCPAddr); ok {
			out = append(out, a.AddrPort())
		}
	}
	return out
}

// Name is the site's name, ID its id.
func (s *Site) Name() string { return s.self.Name() }

// ID is the site's id.
func (s *Site) ID() identity.ID { return s.self.ID() }

// Addr is where callers reach the ingress; nil without one. Safe for concurrent use.
func (s *Site) Addr() net.Addr {
	if s.listen == nil {
		return nil
	}
	return s.listen.Addr()
}

// Node is the site's node, Manager its exchanges, for those who show them.
func (s *Site) Node() *node.Node { return s.node }

// Manager keeps the site's exchanges.
func (s *Site) Manager() *exchange.Manager { return s.manager }

// Pipe is the site's pipe, for those who show its state.
func (s *Site) Pipe() *pipe.Dir { return s.pipe }

// Ready is closed when the site works: its state is loaded and its inbox was scanned.
func (s *Site) Ready() <-chan struct{} { return s.node.Ready() }

const (
	// drainFor is how long a stopping site lets held connections have their answers, and calls to callees end.
	drainFor = 5 * time.Second
)

// Run works until ctx ends, then stops in order: no new callers, answers under way, calls to callees,
// commits and frames, the store. Everything accepted is stored and goes on at the next start.
func (s *Site) Run(ctx context.Context) error {
	defer s.close()
	var wg sync.WaitGroup
	nodeCtx, stopNode := context.WithCancel(context.WithoutCancel(ctx))
	defer stopNode()
	failed := make(chan error, 5)
	adminDone := make(chan struct{})
	go func() {
		defer close(adminDone)
		if err := s.admin.Serve(); err != nil {
			failed <- fmt.Errorf("admin: %w", err)
		}
	}()
	wg.Go(func() { failed <- s.node.Run(nodeCtx, s.stored) })
	wg.Go(func() { s.manager.Expire(nodeCtx) })
	if s.callbacks != nil {
		wg.Go(func() { s.callbacks.Run(nodeCtx) })
	}
	if s.ingress != nil {
		wg.Go(func() {
			if err := s.ingress.Serve(s.listen); err != nil {
				failed <- fmt.Errorf("ingress: %w", err)
			}
		})
	}
	if s.data != nil {
		wg.Go(func() { s.data.Run(nodeCtx) })
		wg.Go(func() {
			if err := s.data.Serve(s.dataListen); err != nil {
				failed <- fmt.Errorf("data: %w", err)
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
		s.log.Info().Msg("stopping; what was accepted is stored and goes on at the next start")
	case err = <-failed:
	}
	s.stored.Close() // who waits for data is told that it goes on
	if s.moves != nil {
		s.moves.Stop()
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
	defer cancel()
	drained := make(chan struct{})
	go func() { s.manager.Drain(drain); close(drained) }()
	if s.ingress != nil {
		if serr := s.ingress.Shutdown(drain); serr != nil && !errors.Is(serr, context.DeadlineExceeded) {
			s.log.Warn().Err(serr).Msg("closing the ingress")
		}
	}
	if s.data != nil {
		if serr := s.data.Shutdown(drain); serr != nil {
			s.log.Warn().Err(serr).Msg("closing the Data API")
		}
	}
	<-drained
	s.manager.Close()
	stopNode()
	wg.Wait()
	s.admin.Close() // last, so that stopping can be watched
	<-adminDone
	return err
}

func (s *Site) close() {
	if s.listen != nil {
		s.listen.Close()
	}
	if s.dataListen != nil {
		s.dataListen.Close()
	}
	if s.places != nil {
		s.places.Close()
	}
	if s.egress != nil {
		s.egress.Close()
	}
	if s.pipe != nil {
		s.pipe.Close()
	}
	if s.chunks != nil {
		if err := s.chunks.Close(); err != nil {
			s.log.Warn().Err(err).Msg("closing the chunk store")
		}
	}
	if s.db != nil {
		s.db.Close()
	}
}
