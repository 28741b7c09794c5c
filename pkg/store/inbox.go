package store

import (
	"context"
	"fmt"

	"github.com/hoft/hoft/pkg/frame"
)

const inColumns = `peer, peer_epoch, id, kind, exchange, attempt, "offset", enc, sent_at, received, tries, state, part, plain, data`

const (
	sqlAddInbox = `INSERT INTO inbox (peer, peer_epoch, id, kind, exchange, attempt, "offset", enc, sent_at, received, tries, state,
 part, plain, size, data, body) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (peer, peer_epoch, id) DO NOTHING`
	sqlSetInbox     = `UPDATE inbox SET state = ?, tries = ? WHERE peer = ? AND peer_epoch = ? AND id = ?`
	sqlDropInbox    = `DELETE FROM inbox WHERE peer = ? AND peer_epoch = ? AND id = ?`
	sqlDropAttempts = `DELETE FROM inbox WHERE exchange = ? AND attempt < ?`
	sqlExpireInbox  = `DELETE FROM inbox WHERE exchange = ?`
	sqlPartsDone    = `UPDATE inbox SET part = 0 WHERE exchange = ? AND part = 1`

	sqlInboxNew      = `SELECT ` + inColumns + `, body FROM inbox WHERE state = 0 ORDER BY n LIMIT ?`
	sqlInboxExchange = `SELECT ` + inColumns + `, body FROM inbox WHERE exchange = ? ORDER BY attempt, kind, "offset", n`
	sqlInboxPart     = `SELECT ` + inColumns + `, body FROM inbox
 WHERE exchange = ? AND attempt = ? AND kind = 'body' AND "offset" = ? ORDER BY n LIMIT 1`
	sqlInboxRequest = `SELECT ` + inColumns + `, body` + sqlOfRequest
	sqlInboxHead    = `SELECT ` + inColumns + `, NULL` + sqlOfRequest
	sqlOfRequest    = ` FROM inbox WHERE exchange = ? AND attempt = 0 AND kind = 'req' AND "offset" = 0 ORDER BY n DESC LIMIT 1`
	sqlInboxParts   = `SELECT ` + inColumns + `, NULL FROM inbox INDEXED BY inbox_part WHERE part = 1
 AND NOT EXISTS (SELECT 1 FROM exchanges e WHERE e.id = inbox.exchange AND e.ended > 0) ORDER BY exchange, attempt, "offset", n`
	sqlInboxFailed = `SELECT count(*) FROM inbox WHERE peer = ? AND state = 2`
)

func (t *tx) addInbox(i *In) error {
	exchange := idOrNil(&i.Exchange)
	part := toBool(i.Part && exchange != nil)
	_, err := t.s.exec(sqlAddInbox, i.Peer[:], int64(i.PeerEpoch), int64(i.ID), string(i.Kind), exchange, int64(i.Attempt),
		i.Offset, string(i.Enc), toMilli(i.SentAt), toMilli(i.Received), int64(i.Tries), int64(i.State), part, i.Size,
		int64(len(i.Data)+len(i.Body))+i.Beside, orNil(i.Data), orNil(i.Body))
	return err
}

func (t *tx) setInbox(o *setInbox) error {
	_, err := t.s.exec(sqlSetInbox, int64(o.state), int64(o.tries), o.peer[:], int64(o.peerEpoch), int64(o.id))
	return err
}

func (t *tx) dropInbox(o *dropInbox) error {
	_, err := t.s.exec(sqlDropInbox, o.peer[:], int64(o.peerEpoch), int64(o.id))
	return err
}

func (t *tx) dropInboxExchange(exchange *[16]byte, below int) error {
	if below < 0 {
		_, err := t.s.exec(sqlExpireInbox, exchange[:])
		return err
	}
	_, err := t.s.exec(sqlDropAttempts, exchange[:], int64(below))
	return err
}

// InboxNew gives rows in state InNew, in order of arrival.
func (r *reader) InboxNew(ctx context.Context, limit int) ([]In, error) {
	return r.inRows(ctx, sqlInboxNew, int64(max(limit, 0)))
}

// InboxExchange gives the rows of one exchange, ordered by attempt, kind and offset.
func (r *reader) InboxExchange(ctx context.Context, exchange [16]byte) ([]In, error) {
	return r.inRows(ctx, sqlInboxExchange, exchange[:])
}

// InboxParts gives the body parts of exchanges that have not ended, without the bytes.
func (r *reader) InboxParts(ctx context.Context) ([]In, error) {
	return r.inRows(ctx, sqlInboxParts)
}

// InboxPart gives the body part of an exchange and attempt that starts at offset, or ErrNotFound.
func (r *reader) InboxPart(ctx context.Context, exchange [16]byte, attempt int, offset int64) (In, error) {
	rows, err := r.inRows(ctx, sqlInboxPart, exchange[:], int64(attempt), offset)
	if err != nil {
		return In{}, err
	}
	if len(rows) == 0 {
		return In{}, fmt.Errorf("store: body part at %d: %w", offset, ErrNotFound)
	}
	return rows[0], nil
}

// InboxRequest gives the newest request of an exchange, or ErrNotFound.
func (r *reader) InboxRequest(ctx context.Context, exchange [16]byte, body bool) (In, error) {
	query := sqlInboxHead
	if body {
		query = sqlInboxRequest
	}
	rows, err := r.inRows(ctx, query, exchange[:])
	if err != nil {
		return In{}, err
	}
	if len(rows) == 0 {
		return In{}, fmt.Errorf("store: request: %w", ErrNotFound)
	}
	return rows[0], nil
}

func (r *reader) inRows(ctx context.Context, query string, args ...any) (out []In, err error) {
	err = r.with(ctx, func(s *session) error {
		return s.query(ctx, func(row row) error {
			i, err := scanIn(row)
			out = append(out, i)
			return err
		}, query, args...)
	})
	if err != nil {
		return nil, fmt.Errorf("store: read inbox: %w", err)
	}
	return out, nil
}

func scanIn(row row) (i In, err error) {
	var peer, exchange []byte
	var kind, enc string
	var sentAt, received, part int64
	if err := row.Scan(&peer, &i.PeerEpoch, &i.ID, &kind, &exchange, &i.Attempt, &i.Offset, &enc, &sentAt, &received,
		&i.Tries, &i.State, &part, &i.Size, &i.Data, &i.Body); err != nil {
		return i, err
	}
	i.Part = part != 0
	i.Kind, i.Enc = frame.Kind(kind), frame.Enc(enc)
	i.SentAt, i.Received = fromMilli(sentAt), fromMilli(received)
	if err := setID((*[16]byte)(&i.Peer), peer); err != nil {
		return i, err
	}
	return i, setID(&i.Exchange, exchange)
}
