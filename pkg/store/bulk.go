package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/hoft/hoft/pkg/identity"
)

// Pack is one file of chunks: this site's own, or one that the peer announced.
type Pack struct {
	Peer     identity.ID
	Own      bool
	Seq      uint64
	Exchange [16]byte
	State    uint8
	At       time.Time
	Size     int64  // of the file, in bytes
	Recs     []byte // pkg/bulk's stored form; opaque here
	Runs     []byte // which of them are of which exchange, pkg/bulk's stored form; nil: all are Exchange's
}

// Offer is a run of chunks of an exchange's body that is on its way to a peer.
type Offer struct {
	Peer     identity.ID
	Exchange [16]byte
	Recs     []byte // pkg/bulk's stored form; opaque here
}

type (
	putPack  struct{ Pack }
	dropPack struct {
		peer identity.ID
		own  bool
		seq  uint64
	}
	addOffer   struct{ Offer }
	dropOffers struct{ exchange [16]byte }
	addHeld    struct {
		peer  identity.ID
		names [][16]byte
	}
	clearHeld struct{ peer identity.ID }
)

func (putPack) isOp()    {}
func (dropPack) isOp()   {}
func (addOffer) isOp()   {}
func (dropOffers) isOp() {}
func (addHeld) isOp()    {}
func (clearHeld) isOp()  {}

// PutPack stores a pack, replacing what was there under its number.
func (b *Batch) PutPack(p Pack) { b.ops = append(b.ops, putPack{p}) }

// DropPack deletes a pack; an unknown one is no error.
func (b *Batch) DropPack(peer identity.ID, own bool, seq uint64) {
	b.ops = append(b.ops, dropPack{peer, own, seq})
}

// AddOffer stores a run of an exchange's chunks behind those that are there.
func (b *Batch) AddOffer(o Offer) { b.ops = append(b.ops, addOffer{o}) }

// DropOffers deletes what an exchange offered, to whatever peer.
func (b *Batch) DropOffers(exchange [16]byte) { b.ops = append(b.ops, dropOffers{exchange}) }

// AddHeld notes chunks that the peer holds; a name that is there keeps its place.
func (b *Batch) AddHeld(peer identity.ID, names [][16]byte) {
	b.ops = append(b.ops, addHeld{peer, names})
}

// ClearHeld forgets what the peer holds.
func (b *Batch) ClearHeld(peer identity.ID) { b.ops = append(b.ops, clearHeld{peer}) }

const (
	sqlPutPack    = `INSERT OR REPLACE INTO packs (peer, own, seq, exchange, state, at, size, recs, runs) VALUES (?,?,?,?,?,?,?,?,?)`
	sqlDropPack   = `DELETE FROM packs WHERE peer = ? AND own = ? AND seq = ?`
	sqlAddOffer   = `INSERT INTO offers (peer, exchange, recs) VALUES (?,?,?)`
	sqlDropOffers = `DELETE FROM offers WHERE exchange = ?`
	sqlAddHeld    = `INSERT INTO held (peer, name) VALUES (?,?) ON CONFLICT (peer, name) DO NOTHING`
	sqlClearHeld  = `DELETE FROM held WHERE peer = ?`

	sqlPacks  = `SELECT own, seq, exchange, state, at, size, recs, runs FROM packs WHERE peer = ? ORDER BY own, seq`
	sqlOffers = `SELECT exchange, recs FROM offers WHERE peer = ? ORDER BY n`
	sqlHeldBy = `SELECT name FROM held WHERE peer = ? ORDER BY n DESC LIMIT ?`
)

// applyBulk applies a change of the tables for packs; ok is false when it is another's.
func (t *tx) applyBulk(o op) (ok bool, err error) {
	switch o := o.(type) {
	case putPack:
		_, err = t.s.exec(sqlPutPack, o.Peer[:], toBool(o.Own), int64(o.Seq), o.Exchange[:], int64(o.State), toMilli(o.At), o.Size, orNil(o.Recs), orNil(o.Runs))
	case dropPack:
		_, err = t.s.exec(sqlDropPack, o.peer[:], toBool(o.own), int64(o.seq))
	case addOffer:
		_, err = t.s.exec(sqlAddOffer, o.Peer[:], o.Exchange[:], orNil(o.Recs))
	case dropOffers:
		_, err = t.s.exec(sqlDropOffers, o.exchange[:])
	case addHeld:
		for i := range o.names {
			if _, err := t.s.exec(sqlAddHeld, o.peer[:], o.names[i][:]); err != nil {
				return true, err
			}
		}
	case clearHeld:
		_, err = t.s.exec(sqlClearHeld, o.peer[:])
	default:
		return false, nil
	}
	return true, err
}

// Packs gives the packs of a link, the peer's first, each ascending by number.
func (r *reader) Packs(ctx context.Context, peer identity.ID) (out []Pack, err error) {
	err = r.with(ctx, func(s *session) error {
		return s.query(ctx, func(row row) error {
			p := Pack{Peer: peer}
			var exchange []byte
			var at int64
			if err := row.Scan(&p.Own, &p.Seq, &exchange, &p.State, &at, &p.Size, &p.Recs, &p.Runs); err != nil {
				return err
			}
			p.At = fromMilli(at)
			err := setID(&p.Exchange, exchange)
			out = append(out, p)
			return err
		}, sqlPacks, peer[:])
	})
	if err != nil {
		return nil, fmt.Errorf("store: read packs: %w", err)
	}
	return out, nil
}

// Offers gives what exchanges offered to a peer, in order.
func (r *reader) Offers(ctx context.Context, peer identity.ID) (out []Offer, err error) {
	err = r.with(ctx, func(s *session) error {
		return s.query(ctx, func(row row) error {
			o := Offer{Peer: peer}
			var exchange []byte
			if err := row.Scan(&exchange, &o.Recs); err != nil {
				return err
			}
			err := setID(&o.Exchange, exchange)
			out = append(out, o)
			return err
		}, sqlOffers, peer[:])
	})
	if err != nil {
		return nil, fmt.Errorf("store: read offers: %w", err)
	}
	return out, nil
}

// Held gives the newest n names that a peer is known to hold, the newest first.
func (r *reader) Held(ctx context.Context, peer identity.ID, n int) (out [][16]byte, err error) {
	err = r.with(ctx, func(s *session) error {
		return s.query(ctx, func(row row) error {
			var name []byte
			if err := row.Scan(&name); err != nil {
				return err
			}
			out = append(out, [16]byte{})
			return setID(&out[len(out)-1], name)
		}, sqlHeldBy, peer[:], int64(max(n, 0)))
	})
	if err != nil {
		return nil, fmt.Errorf("store: read held chunks: %w", err)
	}
	return out, nil
}

func checkSeq(seq uint64) error {
	if seq > math.MaxInt64 {
		return fmt.Errorf("store: pack: number %d is too large", seq)
	}
	return nil
}
