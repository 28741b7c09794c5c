package site

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/hoft/hoft/pkg/bulk"
	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
)

// chunksFolder is where a state folder keeps long bodies.
const chunksFolder = "chunks"

// openChunks opens the store of long bodies and what seals them for each peer.
func (s *Site) openChunks() (err error) {
	s.seals = map[identity.ID]*chunk.Sealer{}
	for _, p := range s.peers {
		if s.signed[p.ID] {
			if s.seals[p.ID], err = chunk.NewPlainSealer(); err != nil {
				return err
			}
			continue
		}
		secret, err := identity.LinkSecret(s.cfg.StateDir, s.self.ID(), p.ID)
		if err != nil {
			return err
		}
		s.seals[p.ID] = chunk.NewSealer(chunk.Secret(secret.Reveal()))
	}
	s.chunks, err = chunk.OpenStore(context.Background(), filepath.Join(s.cfg.StateDir, chunksFolder), s.db,
		chunk.StoreOptions{MaxBytes: int64(s.cfg.Chunks.MaxBytes), Closed: s.cfg.Pipe.Private})
	return err
}

// chunkSealer gives what seals chunks for a peer.
func (s *Site) chunkSealer(peer identity.ID) (*chunk.Sealer, error) {
	if c := s.seals[peer]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("no peer %s", peer)
}

// packs says how bodies travel, and what those of a peer may take of the store: one that fills it must leave room for others.
func (s *Site) packs() (bulk.Config, error) {
	st, err := s.chunks.Stats(context.Background())
	if err != nil {
		return bulk.Config{}, err
	}
	c := bulk.Config{MaxPack: int64(s.cfg.Pipe.MaxFile), PeerBytes: int64(s.cfg.Chunks.PeerBytes), ExchangeBytes: int64(s.cfg.Chunks.ExchangeBytes)}
	if c.PeerBytes == 0 && len(s.peers) > 1 {
		c.PeerBytes = st.MaxBytes / 4 * 3
	}
	if c.ExchangeBytes == 0 {
		c.ExchangeBytes = c.PeerBytes
	}
	if c.ExchangeBytes == 0 { // it would wait for room that no other exchange can give
		c.ExchangeBytes = st.MaxBytes
	}
	return c, nil
}

// boundResults keeps finished answers to half of the chunk store: bodies under way need the rest.
func (s *Site) boundResults(mc *exchange.Config) error {
	st, err := s.chunks.Stats(context.Background())
	if err != nil {
		return err
	}
	mc.MaxBytes = min(mc.MaxBytes, st.MaxBytes/2)
	return nil
}

// canClone says whether packs can enter the pipe as clones of files of the store, and has them do so then.
func (s *Site) canClone() bool {
	path, ok := s.chunks.Spare()
	if !ok {
		return false
	}
	err := s.pipe.TryClone(path)
	switch {
	case err != nil:
		s.log.Debug().Err(err).Msg("packs cannot enter the outbox as clones")
	case !s.cfg.Pipe.Private:
		s.log.Info().Msg("outbox and state folder share blocks (reflink): packs are cloned instead of copied")
	}
	return err == nil
}
