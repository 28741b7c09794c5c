package inspect

import (
	"context"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/store"
)

// Sent is what the state knows of a file that was written here.
type Sent struct {
	Seq   uint64       `json:"seq"`
	At    time.Time    `json:"at"`
	Bytes int64        `json:"bytes"`
	Nonce string       `json:"nonce"` // jti of its first line
	State string       `json:"state"` // in transit, acked, replaced
	IDs   frame.Ranges `json:"ids"`
	// Held are the messages of it that the peer has not acknowledged.
	Held []Held `json:"held,omitempty"`
}

// Held is a message that still waits for its ack.
type Held struct {
	ID       uint64    `json:"id"`
	Kind     string    `json:"kind"`
	Bytes    int       `json:"bytes"`
	Created  time.Time `json:"created"`
	Exchange string    `json:"exchange,omitempty"`
}

// Files is what is needed of a store to tell of own files; store.ReadOnly has it.
type Files interface {
	Outbox(ctx context.Context, peer identity.ID, after uint64, limit int) ([]store.Out, error)
	SentOpen(ctx context.Context, peer identity.ID) ([]store.Sent, error)
	SentLast(ctx context.Context, peer identity.ID, n int) ([]store.Sent, error)
}

// lastSent is how many of the newest files are looked through besides those in transit.
const lastSent = 2048

// AddSent adds what the state knows of a file that this site wrote; nothing when it knows nothing any more.
func (f *File) AddSent(ctx context.Context, k Keys, db Files) error {
	if f.Name == nil || k.Opener == nil || f.Name.parsed.Sender != k.Self {
		return nil
	}
	peer := f.Name.parsed.Recipient
	rows, err := sentRows(ctx, db, peer)
	if err != nil {
		return err
	}
	row, ok := rows[f.Name.Seq]
	if !ok {
		f.Text += "; the state has no record of it: a new file's comes within a second, an old one's is deleted in time"
		return nil
	}
	s := sentOf(row)
	if f.Sent = &s; len(row.IDs) == 0 {
		return nil
	}
	low, _ := row.IDs.Min()
	held, err := db.Outbox(ctx, peer, low-1, lastSent)
	for _, o := range held {
		if row.IDs.Contains(o.ID) {
			f.Sent.Held = append(f.Sent.Held, Held{ID: o.ID, Kind: string(o.Kind), Bytes: len(o.Data), Created: o.Created, Exchange: idText(o.Exchange)})
		}
	}
	return err
}

func sentRows(ctx context.Context, db Files, peer identity.ID) (map[uint64]store.Sent, error) {
	last, err := db.SentLast(ctx, peer, lastSent)
	if err != nil {
		return nil, err
	}
	open, err := db.SentOpen(ctx, peer)
	rows := make(map[uint64]store.Sent, len(last)+len(open))
	for _, s := range append(last, open...) {
		rows[s.Seq] = s
	}
	return rows, err
}

func sentOf(s store.Sent) Sent {
	return Sent{Seq: s.Seq, At: s.At, Bytes: s.Size, Nonce: s.Nonce, State: sentWord(s.State), IDs: s.IDs}
}

func sentWord(s store.SentState) string {
	switch s {
	case store.SentAcked:
		return "acked"
	case store.SentReplaced:
		return "replaced"
	}
	return "in transit"
}

func idText(id [16]byte) string {
	if id == ([16]byte{}) {
		return ""
	}
	return exchange.ID(id).String()
}
