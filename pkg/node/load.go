package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hoft/hoft/pkg/bulk"
	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/pipe"
)

// LoadCore builds a core from what the store and the outbox hold, and has h take up what an earlier run left.
func LoadCore(ctx context.Context, opt Options, h Recoverer, now time.Time) (*Core, error) {
	rows, err := opt.Store.Links(ctx)
	if err != nil {
		return nil, fmt.Errorf("load links: %w", err)
	}
	states := map[identity.ID]link.State{}
	for _, r := range rows {
		states[r.Peer] = StateOf(r)
	}
	links := map[identity.ID]*link.Link{}
	var order []identity.ID
	names := map[identity.ID]string{}
	packs := map[identity.ID]*bulk.Peer{}
	var stuck []frame.Name
	remove := func(name frame.Name) {
		if _, err := opt.Pipe.RemoveOwn(name); err != nil {
			opt.Log.Warn().Err(err).Str("file", name.String()).Msg("cannot remove an own file from the outbox; trying again")
			stuck = append(stuck, name)
		}
	}
	for _, p := range opt.Peers {
		own, err := opt.Pipe.ListOwn(p.ID)
		if err != nil {
			return nil, fmt.Errorf("load link with %s: %w", p.Name, err)
		}
		known := map[uint64]bool{}
		if opt.Chunks != nil {
			if packs[p.ID], err = loadBulk(ctx, opt, p, own, known, now); err != nil {
				return nil, fmt.Errorf("load packs of %s: %w", p.Name, err)
			}
		}
		own = otherMode(p, own, remove)
		l, err := loadLink(ctx, opt, p, states[p.ID], own, known, now, remove)
		if err != nil {
			return nil, fmt.Errorf("load link with %s: %w", p.Name, err)
		}
		links[p.ID] = l
		order, names[p.ID] = append(order, p.ID), p.Name
	}
	c := NewCore(opt.Self, links, order, opt.Limits)
	c.Panics = func(d *Delivery, v any, stack []byte) {
		opt.Log.Error().Str("peer", names[d.Peer]).Str("kind", string(d.Kind)).Uint64("msg_id", d.ID).Int("try", d.Tries).
			Str("panic", fmt.Sprint(v)).Bytes("stack", stack).Msg("a message could not be handled")
	}
	for _, p := range opt.Peers {
		if b := packs[p.ID]; b != nil {
			c.SetBulk(p.ID, b)
		}
		if p.Signed {
			c.SetSigned(p.ID)
		}
	}
	for _, name := range stuck {
		c.NotRemoved(now, name)
	}
	c.SetHandler(h)
	var rerr error
	c.Do(now, func(s *Step) { rerr = h.Recover(ctx, s) })
	if rerr != nil {
		return nil, rerr
	}
	left, err := opt.Store.InboxNew(ctx, 10_000)
	if err != nil {
		return nil, fmt.Errorf("load inbox: %w", err)
	}
	for _, row := range left {
		c.Redeliver(now, row)
	}
	return c, nil
}

// otherMode removes frames that were written before the link was set from encrypted to signed or back: the peer takes them no
// more, and what they carried is sent again. It gives the other files.
func otherMode(p Peer, own []pipe.Entry, remove func(frame.Name)) []pipe.Entry {
	left := make([]pipe.Entry, 0, len(own))
	for _, e := range own {
		if !e.Name.Ext.Frame() || e.Name.Ext == frameExt(p.Signed) {
			left = append(left, e)
		} else {
			remove(e.Name)
		}
	}
	return left
}

// loadLink builds a link. own is what lies in the outbox; known are the packs among it that are accounted for; remove takes a
// file out of it, now or later.
func loadLink(ctx context.Context, opt Options, p Peer, st link.State, own []pipe.Entry, known map[uint64]bool, now time.Time,
	remove func(frame.Name)) (*link.Link, error) {
	cfg := opt.Link
	cfg.Self, cfg.Peer, cfg.Rkt = opt.Self, p.ID, p.Sealer.Rkt
	if p.Signed { // chunks of stored data are encrypted for good: they cannot travel so that they can be read
		cfg.Caps = slices.DeleteFunc(slices.Clone(cfg.Caps), func(word string) bool { return word == string(frame.KindFetch) })
	}
	if cfg.Rand = rand.New(rand.NewChaCha8(seed())); opt.Rand != nil {
		cfg.Rand = opt.Rand()
	}
	var ownTop uint64
	for _, e := range own {
		ownTop = max(ownTop, e.Name.Seq)
	}
	l := link.New(cfg, st, now, ownTop)
	for _, e := range own {
		if st.Epoch != 0 {
			l.OwnFile(now, e.Name.Seq)
		}
	}
	stats, err := opt.Store.Stats(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	l.SetHeld(stats.Messages, stats.Bytes)
	sent, err := opt.Store.SentOpen(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	for _, s := range sent {
		l.RestoreFile(link.SentFile{Seq: s.Seq, Nonce: s.Nonce, At: s.At, IDs: s.IDs, Size: s.Size})
		known[s.Seq] = true
	}
	for q := l.NeedLoad(); q.N > 0; q = l.NeedLoad() {
		out, err := Load{Peer: p.ID, Query: q}.Rows(ctx, opt.Store)
		if err != nil {
			return nil, err
		}
		l.Load(Items(out, l.CommittedID()), q, l.CommittedID())
	}
	l.DropEmpty()
	there := make([]uint64, len(own))
	for i, e := range own {
		there[i] = e.Name.Seq
	}
	l.Looked(now, there)
	for _, e := range own { // written by an earlier run that did not live to record it: its content is sent again
		if !known[e.Name.Seq] {
			remove(e.Name)
		}
	}
	return l, nil
}

// loadBulk builds the packs' state of a peer, and notes in known the own packs that are accounted for.
func loadBulk(ctx context.Context, opt Options, p Peer, own []pipe.Entry, known map[uint64]bool, now time.Time) (*bulk.Peer, error) {
	peer := p.ID
	packs, err := opt.Store.Packs(ctx, peer)
	if err != nil {
		return nil, err
	}
	there := map[uint64]bool{}
	for _, e := range own {
		there[e.Name.Seq] = e.Name.Ext == frame.ExtPack
	}
	rows := make([]bulk.Row, len(packs))
	for i, p := range packs {
		r := bulk.Row{Key: bulk.Key{Own: p.Own, Seq: p.Seq}, State: bulk.RowState(p.State), At: p.At, Size: p.Size}
		if r.State == bulk.Settled {
			r.Miss, err = bulk.UnpackMiss(p.Recs)
		} else {
			r.Records, err = bulk.UnpackRecords(p.Recs)
		}
		if err == nil {
			r.Runs, err = bulk.UnpackRuns(p.Runs, p.Exchange, r.Records)
		}
		if err != nil {
			return nil, err
		}
		if p.Own && there[p.Seq] && r.State == bulk.Announced {
			r.State, r.At = bulk.Written, now
		}
		if p.Own {
			known[p.Seq] = true
		}
		rows[i] = r
	}
	offers, err := opt.Store.Offers(ctx, peer)
	if err != nil {
		return nil, err
	}
	saved := make([]bulk.Saved, len(offers))
	for i, o := range offers {
		saved[i].Exchange = o.Exchange
		if saved[i].Records, err = bulk.UnpackRecords(o.Recs); err != nil {
			return nil, err
		}
	}
	cfg := opt.Bulk.Defaults()
	cfg.Alone = p.Signed // a scanner reads each body by itself
	held, err := opt.Store.Held(ctx, peer, cfg.MaxHeld)
	if err != nil {
		return nil, err
	}
	names := make([]chunk.Name, len(held))
	for i, n := range held {
		names[len(held)-1-i] = n
	}
	b := bulk.New(cfg)
	b.Restore(now, rows, saved, names)
	return b, nil
}
