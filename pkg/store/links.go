package store

import (
	"context"
	"fmt"
	"time"
)

const (
	sqlPutLink = `INSERT OR REPLACE INTO links (peer, epoch, peer_epoch, last_id, seq_reserved, contig, ooo, peer_base, peer_last,
 acked_contig, acked_ooo, peer_caps, srtt_ns, rttvar_ns, last_seen, seen, runs, learned) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`
	sqlLinks = `SELECT peer, epoch, peer_epoch, last_id, seq_reserved, contig, ooo, peer_base, peer_last,
 acked_contig, acked_ooo, peer_caps, srtt_ns, rttvar_ns, last_seen, seen, runs, learned FROM links ORDER BY peer`
)

func (t *tx) putLink(l *Link) error {
	caps, err := wordsText(l.PeerCaps)
	if err != nil {
		return err
	}
	_, err = t.s.exec(sqlPutLink, l.Peer[:], int64(l.Epoch), int64(l.PeerEpoch), int64(l.LastID), int64(l.SeqReserved),
		int64(l.Contig), rangesText(l.OOO), int64(l.PeerBase), int64(l.PeerLast), int64(l.AckedContig), rangesText(l.AckedOOO),
		caps, int64(l.SRTT), int64(l.RTTVar), toMilli(l.LastSeen), rangesText(l.Seen), orNil(l.Runs), orNil(l.Learned))
	return err
}

// Links gives all links, ordered by peer.
func (r *reader) Links(ctx context.Context) (out []Link, err error) {
	err = r.with(ctx, func(s *session) error {
		return s.query(ctx, func(row row) error {
			l, err := scanLink(row)
			out = append(out, l)
			return err
		}, sqlLinks)
	})
	if err != nil {
		return nil, fmt.Errorf("store: read links: %w", err)
	}
	return out, nil
}

func scanLink(row row) (l Link, err error) {
	var peer []byte
	var ooo, ackedOOO, caps, seen string
	var srtt, rttvar, lastSeen int64
	if err := row.Scan(&peer, &l.Epoch, &l.PeerEpoch, &l.LastID, &l.SeqReserved, &l.Contig, &ooo, &l.PeerBase, &l.PeerLast,
		&l.AckedContig, &ackedOOO, &caps, &srtt, &rttvar, &lastSeen, &seen, &l.Runs, &l.Learned); err != nil {
		return l, err
	}
	l.SRTT, l.RTTVar, l.LastSeen = time.Duration(srtt), time.Duration(rttvar), fromMilli(lastSeen)
	if err := setID((*[16]byte)(&l.Peer), peer); err != nil {
		return l, err
	}
	if l.OOO, err = parseRanges(ooo); err != nil {
		return l, err
	}
	if l.AckedOOO, err = parseRanges(ackedOOO); err != nil {
		return l, err
	}
	if l.Seen, err = parseRanges(seen); err != nil {
		return l, err
	}
	l.PeerCaps, err = parseWords(caps)
	return l, err
}
