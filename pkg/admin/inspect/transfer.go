package inspect

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hoft/hoft/pkg/bulk"
	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/store"
)

// Transfer is the chunks of one body of a call that are on their way. Bytes are of ciphertext.
type Transfer struct {
	Way  string `json:"way"` // out: this site sends them; in: the peer does
	Peer Party  `json:"peer"`
	// Chunks and Bytes are all that is stored here to be sent; of what comes, all that was announced, or named by parts of
	// the body that came.
	Chunks int   `json:"chunks"`
	Bytes  int64 `json:"bytes"`
	// There is what the receiving site is known to hold, InPipe what lies in packs that were announced and have not been
	// answered; of what comes, what of them is not here.
	ThereChunks  int        `json:"there_chunks"`
	ThereBytes   int64      `json:"there_bytes"`
	InPipeChunks int        `json:"in_pipe_chunks"`
	InPipeBytes  int64      `json:"in_pipe_bytes"`
	RateBps      float64    `json:"rate_bps,omitempty"` // bytes there by the time since the call began
	LeftS        *float64   `json:"left_s,omitempty"`   // how long the rest takes at that rate
	Packs        []PackFile `json:"packs"`
}

// PackFile is a pack of a transfer that is not done with.
type PackFile struct {
	Name   string     `json:"name"`
	Chunks int        `json:"chunks"`
	Bytes  int64      `json:"bytes"`
	At     *time.Time `json:"at,omitempty"` // when it was written, or announced by the peer
	State  string     `json:"state"`        // announced, written
}

// Bulk is what is needed of a store to tell of transfers; store.ReadOnly has it.
type Bulk interface {
	Packs(ctx context.Context, peer identity.ID) ([]store.Pack, error)
	Offers(ctx context.Context, peer identity.ID) ([]store.Offer, error)
	Held(ctx context.Context, peer identity.ID, n int) ([][16]byte, error)
	FindChunks(ctx context.Context, names []chunk.Name) ([]chunk.Row, error)
}

// addTransfers adds what of a call's bodies is on its way to or from the peers of its sides.
func (x *Exchange) addTransfers(ctx context.Context, id exchange.ID, peers []identity.ID, k *Keys, db Calls, now time.Time) error {
	for _, peer := range peers {
		packs, err := db.Packs(ctx, peer)
		if err != nil {
			return err
		}
		out, err := outgoing(ctx, id, peer, db)
		if err != nil {
			return err
		}
		in := newIncoming()
		if x.runs() {
			if err := in.named(ctx, id, peer, db); err != nil {
				return err
			}
		}
		for _, p := range packs {
			if err := noteRow(k, peer, id, &p, out, in); err != nil {
				return err
			}
		}
		if err := in.look(ctx, db); err != nil {
			return err
		}
		for _, t := range []*Transfer{out, &in.Transfer} {
			if t.Chunks == 0 {
				continue
			}
			t.Peer = k.party(peer)
			t.estimate(x.begun(), now)
			x.Transfers = append(x.Transfers, *t)
		}
	}
	return nil
}

// runs says whether the call is under way in any role.
func (x *Exchange) runs() bool {
	return slices.ContainsFunc(x.Sides, func(s Side) bool { return s.State == exchange.StateRunning })
}

func (x *Exchange) begun() time.Time {
	for _, s := range x.Sides {
		return s.Created
	}
	return time.Time{}
}

// outgoing sums up what the exchange offers to a peer.
func outgoing(ctx context.Context, id exchange.ID, peer identity.ID, db Bulk) (*Transfer, error) {
	t := &Transfer{Way: "out", Packs: []PackFile{}}
	offers, err := db.Offers(ctx, peer)
	if err != nil {
		return nil, err
	}
	held := map[chunk.Name]bool{}
	seen := map[chunk.Name]bool{}
	for _, o := range offers {
		if o.Exchange != id && o.Exchange != exchange.Beside(id) {
			continue
		}
		if len(seen) == 0 {
			names, err := db.Held(ctx, peer, bulk.Config{}.Defaults().MaxHeld)
			if err != nil {
				return nil, err
			}
			for _, n := range names {
				held[n] = true
			}
		}
		recs, err := bulk.UnpackRecords(o.Recs)
		if err != nil {
			return nil, err
		}
		for _, r := range recs {
			if seen[r.Name] {
				continue
			}
			seen[r.Name] = true
			t.Chunks++
			t.Bytes += r.Len
			if held[r.Name] {
				t.ThereChunks++
				t.ThereBytes += r.Len
			}
		}
	}
	return t, nil
}

// noteRow adds what a pack of either direction has of an exchange.
func noteRow(k *Keys, peer identity.ID, id exchange.ID, p *store.Pack, out *Transfer, in *incoming) error {
	if bulk.RowState(p.State) == bulk.Settled {
		return nil
	}
	recs, err := recordsOf(p, id)
	if err != nil {
		return fmt.Errorf("pack %d: %w", p.Seq, err)
	}
	if len(recs) == 0 {
		return nil
	}
	f := PackFile{Chunks: len(recs), Bytes: chunk.PackSize(recs), State: "announced"}
	if bulk.RowState(p.State) == bulk.Written {
		f.State = "written"
	}
	if !p.At.IsZero() {
		f.At = &p.At
	}
	name := frame.Name{Recipient: k.Self, Sender: peer, Seq: p.Seq, Ext: frame.ExtPack}
	if p.Own {
		name.Recipient, name.Sender = peer, k.Self
		out.InPipeChunks += len(recs)
		out.InPipeBytes += f.Bytes
		f.Name = name.String()
		out.Packs = append(out.Packs, f)
		return nil
	}
	f.Name = name.String()
	for _, r := range recs {
		in.chunks[r.Name] = expected{hsh: r.Hsh, len: r.Len, announced: true}
	}
	in.Packs = append(in.Packs, f)
	return nil
}

// recordsOf gives the records of an exchange in a pack.
func recordsOf(p *store.Pack, id exchange.ID) (recs []chunk.Record, err error) {
	all, err := bulk.UnpackRecords(p.Recs)
	if err != nil {
		return nil, err
	}
	runs, err := bulk.UnpackRuns(p.Runs, p.Exchange, all)
	for _, r := range runs {
		if r.Exchange == id || r.Exchange == exchange.Beside(id) {
			recs = append(recs, all[:r.N]...)
		}
		all = all[r.N:]
	}
	return recs, err
}

// estimate tells the rate since the call began, and how long the rest takes at that rate.
func (t *Transfer) estimate(begun, now time.Time) {
	took := now.Sub(begun).Seconds()
	if t.Way != "out" || t.ThereBytes == 0 || begun.IsZero() || took <= 0 {
		return
	}
	t.RateBps = float64(t.ThereBytes) / took
	if left := t.Bytes - t.ThereBytes; left > 0 {
		s := float64(left) / t.RateBps
		t.LeftS = &s
	}
}
