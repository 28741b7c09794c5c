package site

import (
	"context"
	"slices"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/datapipe"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
)

// fetchShare is the part of the chunk store that one client, or one peer, may have fetched at a time.
const fetchShare = 4

// buildManager makes the exchanges, and the way of stored data before them.
func (s *Site) buildManager(mc exchange.Config) error {
	st, err := s.chunks.Stats(context.Background())
	if err != nil {
		return err
	}
	in := &datapipe.Receiver{Inner: mc.Upstreams}
	if s.cfg.Data.Listen != "" {
		mc.Upstreams = in
		if mc.Remember == 0 {
			mc.Remember = config.DefaultEgress().Remember
		}
	}
	s.manager = exchange.NewManager(mc, s.node, s.db)
	s.stored = datapipe.New(datapipe.Options{Peers: s.dataPeers(), Chunks: s.chunks, Store: s.db, Allowed: s.mayHave,
		MaxFetch: st.MaxBytes / fetchShare, KeepMost: mc.MaxBytes / 2, Log: s.log.With().Str("component", "data").Logger()}, s.manager, s.node)
	return s.buildData(in)
}

// dataPeers lists the peers that may be asked for stored data, in the order of the configuration. What is sealed for a
// reader is no use to a guard, so it does not travel to or from peers in signed mode.
func (s *Site) dataPeers() (out []datapipe.Peer) {
	for _, p := range s.peers {
		if !s.signed[p.ID] {
			out = append(out, datapipe.Peer{ID: p.ID, Name: p.Name})
		}
	}
	return out
}

// mayHave says whether a peer is given stored data, and may send some (data.peers).
func (s *Site) mayHave(peer identity.ID) bool {
	names := s.cfg.Data.Peers
	i := slices.IndexFunc(s.peers, func(p *identity.Peer) bool { return p.ID == peer })
	return i >= 0 && !s.signed[peer] && (slices.Contains(names, "*") || slices.Contains(names, s.peers[i].Name))
}
