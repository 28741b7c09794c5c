package exchange

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/store"
)

// Errors of Replay.
var (
	ErrRunning = errors.New("the exchange has not ended; cancel it first, or wait")
	ErrUnsafe  = errors.New("the call may have reached the server, and nothing makes it safe to repeat")
)

// Repeat says whether an exchange may be made again without harm, and why.
func (st *State) Repeat() (safe bool, why string) {
	switch {
	case st.State == StateRunning:
		return false, "it has not ended"
	case Safe(st.Method):
		return true, "safe"
	case Repeatable(st.Method):
		return true, "idempotent"
	case st.Keyed:
		return true, "idempotent: key present"
	case st.Problem != nil && notMade[st.Problem.Code]:
		return true, "the server was not called"
	case st.State == StateCanceled && st.unwritten():
		return true, "it was not sent"
	}
	return false, "it may have reached the server, no key: needs --force"
}

func (st *State) unwritten() bool {
	_, written := st.Stages[StageWritten]
	return !written
}

// Replay makes the call of a finished exchange again, as a new one that names it, and gives the new id when that is
// durable. What is not safe, idempotent or keyed is refused with ErrUnsafe, unless force; ErrGone says that the request is
// no longer stored. Safe for concurrent use.
func (m *Manager) Replay(ctx context.Context, id ID, force bool) (ID, error) {
	row, err := m.row(ctx, id)
	if err != nil {
		return ID{}, err
	}
	st := m.StateOf(row)
	switch safe, _ := st.Repeat(); {
	case row.State == StateRunning:
		return ID{}, ErrRunning
	case !safe && !force:
		return ID{}, ErrUnsafe
	}
	r, done, err := m.storedRequest(ctx, row)
	if err != nil {
		return ID{}, err
	}
	defer done()
	var again ID
	if _, err = m.Call(ctx, r, 0, func(x ID) { again = x }); errors.Is(err, ErrWait) {
		err = nil
	}
	return again, err
}

// storedRequest reads a request from what the outbox keeps of it; done gives free what it holds. Its deadline is as long
// as it was. A long body lies in chunks, which may have had to make room: ErrGone then.
func (m *Manager) storedRequest(ctx context.Context, row store.Exchange) (r *Request, done func(), err error) {
	rows, err := m.store.OutboxExchange(ctx, row.ID)
	if err != nil {
		return nil, nil, err
	}
	body := &storedBody{ctx: ctx, chunks: m.cfg.Chunks, owner: NewID(m.cfg.Now())}
	var head *reqData
	for _, o := range newest(rows) {
		var msg frame.Message
		if err := json.Unmarshal(o.Data, &msg); err != nil {
			return nil, nil, err
		}
		if o.Kind != frame.KindReq && o.Kind != frame.KindBody {
			continue
		}
		plain, err := msg.Plain()
		if err != nil {
			return nil, nil, err
		}
		if o.Kind == frame.KindReq {
			if head, err = decode[reqData](msg.Data); err != nil {
				return nil, nil, err
			}
			body.add(0, plain)
		} else if err := body.part(&msg, plain); err != nil {
			return nil, nil, err
		}
	}
	if head == nil {
		return nil, nil, ErrGone
	}
	r = &Request{Peer: row.Peer, Upstream: head.Upstream, Route: row.Route, Method: head.Method, Target: head.Target, Scheme: head.Scheme, Host: head.Host,
		Fields: head.Fields, Trailers: head.Trailers, Client: head.Client, Length: head.Length, Key: row.Key, NoCompress: head.Plain,
		Owner: row.Owner, Callback: row.Callback, Notify: row.Notify, Transient: row.Transient, ReplayOf: row.ID}
	if !row.Deadline.IsZero() {
		r.Deadline = m.cfg.Now().Add(row.Deadline.Sub(row.Created))
	}
	if r.Length != 0 {
		r.Body = body
	}
	if err := body.check(head.Parts); err != nil {
		body.close()
		return nil, nil, err
	}
	return r, body.close, nil
}

// storedBody reads a stored body piece by piece.
type storedBody struct {
	ctx    context.Context
	chunks Chunks
	owner  [16]byte // pins what is read
	pieces []storedPiece
	run    *chunk.Reader
}

type storedPiece struct {
	offset, size int64
	plain        []byte
	entries      []chunk.Entry // in place of plain
}

func (b *storedBody) part(msg *frame.Message, plain []byte) error {
	d, err := decode[bodyData](msg.Data)
	if err != nil {
		return err
	}
	if d.Map == nil {
		b.add(d.Offset, plain)
		return nil
	}
	entries, size, err := entriesOf(d)
	if err != nil {
		return err
	}
	b.pieces = append(b.pieces, storedPiece{offset: d.Offset, size: size, entries: entries})
	return nil
}

func (b *storedBody) add(offset int64, plain []byte) {
	if len(plain) > 0 {
		b.pieces = append(b.pieces, storedPiece{offset: offset, size: int64(len(plain)), plain: plain})
	}
}

// check puts the pieces in order, pins their chunks, and sees that nothing is missing. size is 0 for a body that came in
// its request.
func (b *storedBody) check(size int64) error {
	slices.SortFunc(b.pieces, func(x, y storedPiece) int { return cmp.Compare(x.offset, y.offset) })
	at := int64(0)
	for _, p := range b.pieces {
		if p.offset != at {
			return errNoBody
		}
		at += p.size
		names := make([]chunk.Name, len(p.entries))
		for i := range p.entries {
			names[i] = p.entries[i].Name()
		}
		if len(names) == 0 {
			continue
		}
		if b.chunks == nil {
			return ErrGone
		}
		b.chunks.Pin(b.owner, names) // before the look: what is here now stays
		if len(absent(b.chunks, p.entries, names)) > 0 {
			return ErrGone
		}
	}
	if size > 0 && at != size {
		return errNoBody
	}
	return nil
}

// Read implements io.Reader.
func (b *storedBody) Read(p []byte) (int, error) {
	for len(b.pieces) > 0 {
		first := &b.pieces[0]
		if first.entries == nil {
			n := copy(p, first.plain)
			if first.plain = first.plain[n:]; len(first.plain) == 0 {
				b.pieces = b.pieces[1:]
			}
			return n, nil
		}
		if b.run == nil {
			b.run = chunk.NewReader(b.ctx, chunk.Map{Entries: first.entries}, readOnce(b.chunks))
		}
		n, err := b.run.Read(p)
		if n > 0 || err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
		if err != nil {
			b.endRun()
			b.pieces = b.pieces[1:]
		}
	}
	return 0, io.EOF
}

func (b *storedBody) endRun() {
	if b.run != nil {
		_ = b.run.Close() // nothing is written
		b.run = nil
	}
}

func (b *storedBody) close() {
	b.endRun()
	if b.chunks != nil {
		b.chunks.Unpin(b.owner)
	}
}
