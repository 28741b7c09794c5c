package sim

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/store"
)

// callee is the server behind a site. It writes down every call, in a log that survives what happens to the site.
type callee struct{ p *proc }

// execution is one call that a callee got.
type execution struct {
	at      time.Duration
	run     int  // of the process that made it
	life    life // of its site
	attempt int
}

// Admit implements exchange.Upstreams.
func (c callee) Admit(r *exchange.Request) *exchange.Problem {
	if r.Upstream != plain && r.Upstream != honoured {
		return exchange.Problemf(exchange.CodeNoUpstream, "no upstream %q", r.Upstream)
	}
	return nil
}

// Slots implements exchange.Upstreams.
func (callee) Slots(string) int { return 4 }

// Do implements exchange.Upstreams.
func (c callee) Do(ctx context.Context, r *exchange.Request) (*exchange.Response, bool, *exchange.Problem) {
	w := c.p.w
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, false, exchange.Problemf(exchange.CodeInternal, "%v", err)
		}
	}
	n, made := c.note(r, body)
	if !made {
		return nil, false, exchange.Problemf(exchange.CodeCalleeRefused, "nobody called")
	}
	dice := w.dice(r.Exchange, n)
	pause := time.Duration(dice.Int64N(int64(200 * time.Millisecond)))
	if dice.IntN(20) == 0 {
		pause = time.Duration(dice.Int64N(int64(20 * time.Second)))
	}
	if !rest(ctx, pause) {
		return nil, true, exchange.Problemf(exchange.CodeCalleeBroken, "ended")
	}
	breaks := w.plan.CalleesBreak && dice.IntN(12) == 0
	if breaks && dice.IntN(2) == 0 {
		return nil, true, exchange.Problemf(exchange.CodeCalleeBroken, "the server broke off")
	}
	// Every execution answers with as many bytes: so that a mixture of two could pass for an answer.
	same := w.dice(r.Exchange, -1)
	size := same.IntN(1200)
	if same.IntN(12) == 0 {
		size = same.IntN(160 << 10)
	}
	if w.plan.Chunks && same.IntN(40) == 0 {
		size = 300<<10 + same.IntN(700<<10)
	}
	if w.plan.Streams {
		size += 20 << 10
	}
	resp := &exchange.Response{Status: 200, Fields: exchange.Fields{{Name: "X-Execution", Value: strconv.Itoa(n)}}, Length: int64(size)}
	data := answer(r.Exchange, n, size)
	if size < 256<<10 && (breaks || w.plan.Streams || dice.IntN(4) == 0) { // longer ones as chunks
		resp.Length = -1
		resp.Fields = append(resp.Fields, exchange.Field{Name: "X-Length", Value: strconv.Itoa(size)})
		resp.Body = &stream{ctx: ctx, data: data, pause: time.Duration(dice.Int64N(int64(30*time.Millisecond))) + 1, breaks: breaks}
		return resp, true, nil
	}
	resp.Body = io.NopCloser(bytes.NewReader(data))
	return resp, true, nil
}

// note writes a call down and holds it against what was asked; it gives its number among the calls of its exchange.
func (c callee) note(r *exchange.Request, body []byte) (n int, made bool) {
	p, w := c.p, c.p.w
	var asked *call
	for _, x := range w.calls {
		if x.req.Exchange == r.Exchange {
			asked = x
		}
	}
	if asked == nil {
		w.fail("executed, not asked", "%s calls %s %s that nobody asked for", p.site.name, r.Method, r.Target)
		return 0, false
	}
	if asked.peer != p.site || asked.req.Method != r.Method || asked.req.Target != r.Target || !bytes.Equal(asked.body, body) || asked.want.breaksOff {
		w.fail("executed, not asked", "%s calls %s %s with %d bytes; call %d was %s %s with %d bytes", p.site.name, r.Method, r.Target, len(body),
			asked.n, asked.req.Method, asked.req.Target, len(asked.body))
	}
	if row, err := p.db.Exchange(context.Background(), r.Exchange, store.SideEgress); !errors.Is(err, store.ErrClosed) &&
		(err != nil || row.Stage != exchange.StageCalling || row.Attempt != r.Attempt) {
		w.fail("call before intent", "%s calls for call %d, try %d, and what is durable is %q, try %d (%v)", p.site.name, asked.n, r.Attempt, row.Stage, row.Attempt, err)
	}
	c.checkInTime(asked)
	w.mu.Lock()
	asked.executed = append(asked.executed, execution{w.now(), p.n, p.site.life(), r.Attempt})
	n = len(asked.executed)
	w.mu.Unlock()
	if n > 1 && !repeatable(asked) {
		if why := asked.excused(); why == "" {
			w.fail("executed twice", "%s of call %d (%s of %s to %s) was executed again: %+v", asked.req.Method, asked.n, asked.req.Target, asked.site.name, asked.peer.name, asked.executed)
		}
	}
	return n, true
}

// repeatable says whether a call may be made twice.
func repeatable(c *call) bool {
	return exchange.Repeatable(c.req.Method) || c.req.Key != "" && c.req.Upstream == honoured
}

// rest waits as a server does; false: the call was ended meanwhile.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// stream is a body that comes slowly and may break off.
type stream struct {
	ctx    context.Context
	data   []byte
	pause  time.Duration
	breaks bool
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	if !rest(s.ctx, s.pause) {
		return 0, s.ctx.Err()
	}
	if len(s.data) == 0 {
		if s.breaks {
			return 0, &exchange.Abort{Reason: "the server broke off"}
		}
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 7000)], s.data)
	s.data = s.data[n:]
	return n, nil
}

// Close implements io.Closer.
func (s *stream) Close() error { return nil }

// block is how often an answer says which execution it is of.
const block = 32

// answer is the body of one execution: every block names it, so that a mixture of two shows.
func answer(id exchange.ID, n, size int) []byte {
	b := make([]byte, 0, size+block)
	for i := 0; len(b) < size; i++ {
		b = append(b, id[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(n))
		b = binary.BigEndian.AppendUint64(b, uint64(i))
	}
	return b[:size]
}

// checkBody holds an answer against its execution; it gives the number of that, and what is wrong.
func checkBody(r *exchange.Request, resp *exchange.Response, got []byte, whole bool) (n int, problem string) {
	size := int(resp.Length)
	for _, f := range resp.Fields {
		switch f.Name {
		case "X-Execution":
			n, _ = strconv.Atoi(f.Value)
		case "X-Length":
			size, _ = strconv.Atoi(f.Value)
		}
	}
	want := answer(r.Exchange, n, size)
	if whole && len(got) != len(want) || !bytes.HasPrefix(want, got) {
		return n, fmt.Sprintf("%d bytes came, which are not those of execution %d (%d bytes)", len(got), n, size)
	}
	return n, ""
}

// checkInTime demands that no call is begun after its deadline, as far as its site can know: by as much as the quickest
// line of the peer's was under way in this run, and what whole seconds and a turn of the loop make. Where clocks are set no site
// can know, and a call that may be repeated is begun at once where clocks that differ by an hour at most show that it is in time.
func (c callee) checkInTime(asked *call) {
	p, w, pl := c.p, c.p.w, &c.p.w.plan
	if asked.due == 0 || pl.Jumps > 0 || pl.Lose > 0 && pl.LoseClock || pl.Rollback+pl.Clone > 0 || pl.SkewMost > 0 && repeatable(asked) {
		return
	}
	slack := 2*time.Second + 10*time.Millisecond
	if l := p.core.Link(asked.site.id); l != nil {
		if quickest, known := l.Quickest(); known {
			slack += max(quickest-(p.site.clock.off-asked.site.clock.off), 0)
		}
	}
	if late := w.now() - asked.due; late > slack {
		w.fail("begun in time", "%s begins call %d (%s) %v after its deadline, %v can be known", p.site.name, asked.n, asked.req.Method, late, slack)
	}
}
