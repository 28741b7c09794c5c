package site

import (
	"fmt"
	"net"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/dataapi"
	"github.com/hoft/hoft/pkg/datapipe"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/ingress"
)

// openData binds the listener of the Direct Data API, where the configuration asks for it.
func (s *Site) openData() (err error) {
	cfg := s.cfg.Data
	if cfg.Listen == "" {
		return nil
	}
	if s.dataListen, err = net.Listen("tcp", cfg.Listen); err != nil {
		return fmt.Errorf("data.listen %s: %w; is another program on this port?", cfg.Listen, err)
	}
	return nil
}

// buildData builds the Direct Data API behind its listener; in takes what peers send.
func (s *Site) buildData(in *datapipe.Receiver) error {
	if s.dataListen == nil {
		return nil
	}
	secret, err := identity.LinkSecret(s.cfg.StateDir, s.self.ID(), identity.ID{})
	if err != nil {
		return err
	}
	log := s.log.With().Str("component", "data").Logger()
	s.moves = ingress.NewResources(s.Name(), s.manager, log)
	s.data, err = dataapi.New(dataapi.Options{Config: s.cfg.Data, Chunks: s.chunks, Book: s.db, Sealer: chunk.NewSealer(chunk.Secret(secret.Reveal())),
		Mover: s.stored, Exchanges: s.moves, Log: log})
	if err == nil {
		s.stored.Receive(in, s.data)
	}
	return err
}

// DataAddr is where the Direct Data API listens; nil without it. Safe for concurrent use.
func (s *Site) DataAddr() net.Addr {
	if s.dataListen == nil {
		return nil
	}
	return s.dataListen.Addr()
}
