package site

import (
	"fmt"
	"net"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/dataapi"
	"github.com/hoft/hoft/pkg/identity"
)

// openData binds the listener of the Direct Data API and builds it, where the configuration asks for it.
func (s *Site) openData() (err error) {
	cfg := s.cfg.Data
	if cfg.Listen == "" {
		return nil
	}
	if s.dataListen, err = net.Listen("tcp", cfg.Listen); err != nil {
		return fmt.Errorf("data.listen %s: %w; is another program on this port?", cfg.Listen, err)
	}
	secret, err := identity.LinkSecret(s.cfg.StateDir, s.self.ID(), identity.ID{})
	if err != nil {
		return err
	}
	s.data, err = dataapi.New(dataapi.Options{Config: cfg, Chunks: s.chunks, Book: s.db, Sealer: chunk.NewSealer(chunk.Secret(secret.Reveal())),
		Log: s.log.With().Str("component", "data").Logger()})
	return err
}

// DataAddr is where the Direct Data API listens; nil without it. Safe for concurrent use.
func (s *Site) DataAddr() net.Addr {
	if s.dataListen == nil {
		return nil
	}
	return s.dataListen.Addr()
}
