package cmd

import (
	"fmt"
	"strings"

	"github.com/hoft/hoft/pkg/admin"
)

// bulk prints a line for each peer with whom long bodies were exchanged.
func (s *screen) bulk(peers []admin.Peer) {
	for i := range peers {
		if text := bulkLine(peers[i].Bulk); text != "" {
			fmt.Fprintf(s.out, "\nlong bodies, %s: %s", peers[i].Name, s.ascii(text))
		}
	}
}

func bulkLine(b *admin.Bulk) string {
	if b == nil || b.PacksWritten+b.ChunksReceived+b.ChunksSpared == 0 && b.QueuedBytes == 0 && b.Expected+b.Fetching == 0 {
		return ""
	}
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if n := b.QueuedBytes + b.OpenBytes; n > 0 {
		left := admin.Bytes(n) + " to go"
		if b.LeftS != nil {
			left += " in about " + admin.Seconds(*b.LeftS)
		}
		add("%s (%d packs in the pipe)", left, b.OpenPacks)
	}
	if b.PacksWritten > 0 {
		add("%s sent in %d packs", admin.Bytes(int64(b.BytesWritten)), b.PacksWritten)
	}
	if b.BytesSpared > 0 {
		add("%s spared, the peer had it", admin.Bytes(int64(b.BytesSpared)))
	}
	if b.ChunksReceived > 0 {
		add("%d chunks received", b.ChunksReceived)
	}
	if b.Expected > 0 {
		add("%d announced and not here", b.Expected)
	}
	if b.Fetching > 0 {
		add("%d asked for and not here", b.Fetching)
	}
	if b.PacksLost+b.PacksCut > 0 {
		add("%d packs lost, %d cut or damaged", b.PacksLost, b.PacksCut)
	}
	return strings.Join(parts, " · ")
}

// chunks prints a line about the store of long bodies, when anything is in it.
func (s *screen) chunks(c *admin.Chunks) {
	if c == nil || c.Chunks == 0 {
		return
	}
	text := fmt.Sprintf("%s of %s on disk · %d chunks", admin.Bytes(c.DiskBytes), admin.Bytes(c.MaxBytes), c.Chunks)
	if c.KeptBytes > 0 {
		text += ", " + admin.Bytes(c.KeptBytes) + " of them kept for stored answers and data"
	}
	if c.Evicted > 0 {
		text += fmt.Sprintf(" · %d made room", c.Evicted)
	}
	if c.Damaged > 0 {
		text += fmt.Sprintf(" · %d went bad", c.Damaged)
	}
	fmt.Fprintf(s.out, "\nchunk store: %s", s.ascii(text))
}
