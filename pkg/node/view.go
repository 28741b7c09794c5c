package node

import (
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/seal"
)

// WriteFailing says why files for a peer cannot be written; nil: they can.
func (c *Core) WriteFailing(peer identity.ID) error { return c.writeErr[peer] }

// ScanFailing gives the error of the last scan of the inbox; nil: it succeeded. Safe for concurrent use.
func (n *Node) ScanFailing() error {
	n.reader.mu.Lock()
	defer n.reader.mu.Unlock()
	return n.reader.scanErr
}

// refuse counts one refused file.
func (s *FileStats) refuse(reason seal.Reason) {
	s.Quarantined++
	s.Refused[reason]++
	s.RefusedRun++
	s.LastReason = reason
}
