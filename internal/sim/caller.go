package sim

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/hoft/hoft/pkg/exchange"
)

// call is one call of a caller, and what came of it.
type call struct {
	w    *World
	n    int
	site *site
	proc *proc // that took it; it dies with it
	peer *site
	req  exchange.Request
	body []byte
	wait time.Duration
	due  time.Duration // not to be begun after it; 0: whenever
	want habits

	ctx   context.Context
	leave context.CancelFunc
	step  chan struct{} // lets the caller's goroutine go on

	life life // of the site when the call was made
	over bool // has ended for good
	// unsaved: the site stopped between giving the whole answer and noting that durably.
	unsaved bool

	// Below is guarded by World.mu.
	held     bool // its caller waits or reads
	accepted bool
	executed []execution
	answers  int // responses whose head came
	err      error
	told     *exchange.Problem
	exec     int  // execution that the answer is of; 0: none
	whole    bool // its body came whole
}

// life is how often something happened to a site that excuses outcomes.
type life struct{ lost, restored, cloned int }

func (s *site) life() life { return life{s.history.lost, s.history.restored, s.history.cloned} }

// habits are what a caller does besides waiting.
type habits struct {
	leaves    time.Duration // goes away after it; 0: stays
	hangsUp   int           // closes the answer after so many bytes; -1: reads it whole
	breaksOff bool          // its upload ends in an error
}

// honoured is the upstream that knows Idempotency-Key; the other one does not.
const (
	honoured = "honoured"
	plain    = "plain"
)

// workload plans all calls, and the flood.
func (w *World) workload() {
	at := w.plan.Gap
	var when time.Duration
	for n := range w.plan.Calls {
		if n%max(w.plan.Crowd, 1) == 0 {
			when = at
		}
		w.after(when, func() { w.makeCall(n) })
		if n == w.plan.Calls/2 {
			w.after(when, w.noteWritten)
		}
		at += time.Duration(w.rnd.ExpFloat64() * float64(w.plan.Gap))
	}
	w.flood()
}

// issued says whether every call was made.
func (w *World) issued() bool { return len(w.calls) >= w.plan.Calls && w.flooded() }

func (w *World) makeCall(n int) {
	from := w.sites[w.rnd.IntN(len(w.sites))]
	to := w.sites[(from.n+1+w.rnd.IntN(len(w.sites)-1))%len(w.sites)]
	p := from.serving()
	c := &call{w: w, n: n, site: from, proc: p, peer: to, step: make(chan struct{}), life: from.life()}
	w.calls = append(w.calls, c)
	c.ctx, c.leave = context.WithCancel(context.Background())
	c.draw()
	if p == nil {
		return // nobody there takes it
	}
	w.trace.say(w, "call %d %s of %s to %s, %d bytes, exchange %v", n, c.req.Method, from.name, to.name, len(c.body), c.req.Exchange)
	if c.want.leaves > 0 {
		w.after(c.want.leaves, func() { c.leave(); synctest.Wait() })
	}
	go c.run(p)
	synctest.Wait()
}

// draw chooses what is asked and how its caller behaves.
func (c *call) draw() {
	w := c.w
	methods := [...]string{"POST", "POST", "POST", "GET", "GET", "PUT", "DELETE", "PATCH"}
	c.req = exchange.Request{Exchange: w.newID(c.site), Peer: c.peer.id, Upstream: plain, Method: methods[w.rnd.IntN(len(methods))],
		Target: fmt.Sprintf("/%d", c.n), Scheme: "http", Host: "h", NoCompress: true} // a pool of coders would outlive the bubble
	if w.chance(0.2) {
		c.req.Upstream, c.req.Key = honoured, c.req.Target
	}
	if c.req.Method != "GET" && c.req.Method != "DELETE" {
		c.body = w.bytes(w.size())
	}
	c.wait = w.between(time.Second, 4*w.plan.DelayMax+time.Minute)
	if w.plan.Impatient {
		c.wait = w.between(time.Millisecond, 50*time.Millisecond)
	}
	c.want.hangsUp = -1
	if w.plan.CallersLeave {
		if w.chance(0.15) {
			c.want.leaves = w.between(time.Millisecond, 2*w.plan.DelayMax+10*time.Millisecond)
		}
		if w.chance(0.1) {
			c.want.hangsUp = w.rnd.IntN(2000)
		}
		c.want.breaksOff = len(c.body) > 0 && w.chance(0.05)
	}
	if w.plan.Deadlines && w.chance(0.3) {
		left := w.between(time.Millisecond, 6*w.plan.DelayMax)
		c.req.Deadline = c.site.clock.wall(w).Add(left)
		if p := c.proc; p != nil {
			left = w.between(time.Millisecond, 6*w.plan.DelayMax)
			c.req.Deadline = p.now().Add(left)
		}
		c.due = w.now() + left
	}
	c.req.Length = int64(len(c.body))
	switch {
	case c.want.breaksOff:
		c.req.Length = -1
		c.req.Body = io.MultiReader(bytes.NewReader(c.body), errReader{})
	case len(c.body) > 0 && w.chance(0.2):
		c.req.Length = -1
		c.req.Body = &slowReader{ctx: c.ctx, data: c.body, pause: w.between(time.Millisecond, 50*time.Millisecond) + time.Duration(c.n)}
	case len(c.body) > 0:
		c.req.Body = bytes.NewReader(c.body)
	}
}

// size draws a body's length: most are small, some come in parts.
func (w *World) size() int {
	switch {
	case w.plan.Chunks && w.chance(0.02): // some chunks
		return 256<<10 + w.rnd.IntN(1<<20)
	case w.plan.Crowd > 1 && w.chance(0.7): // one chunk
		return 17<<10 + w.rnd.IntN(45<<10)
	case w.chance(0.1):
		return 0
	case w.chance(0.06):
		return 16<<10 + w.rnd.IntN(150<<10)
	}
	return 1 + w.rnd.IntN(1500)
}

func (w *World) bytes(n int) []byte {
	b := make([]byte, n)
	if n > 200<<10 {
		_, _ = rand.NewChaCha8([32]byte(fmt.Appendf(make([]byte, 0, 64), "%032x", w.rnd.Uint64()))).Read(b)
		return b
	}
	for i := range b {
		b[i] = byte(w.rnd.Uint32())
	}
	return b
}

// newID makes an exchange's id by the clock of its site, as exchange.NewID does.
func (w *World) newID(s *site) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:8], uint64(s.clock.wall(w).UnixMilli())<<16)
	binary.BigEndian.PutUint64(id[8:], w.rnd.Uint64())
	id[6] = 0x70 | byte(w.rnd.IntN(16))
	id[8] = id[8]&0x3f | 0x80
	return id
}

// run is the caller's goroutine. Where its next move would meet the loop's, it waits until it is let on.
func (c *call) run(p *proc) {
	c.setHeld(true)
	defer c.setHeld(false)
	resp, err := p.m.Call(c.ctx, &c.req, c.wait, c.onAccepted)
	c.w.mu.Lock()
	c.err = err
	c.w.mu.Unlock()
	if err != nil {
		var pr *exchange.Problem
		if errors.As(err, &pr) {
			c.w.mu.Lock()
			c.told = pr
			c.w.mu.Unlock()
		}
		return
	}
	c.w.mu.Lock()
	c.answers++
	c.w.returned = append(c.w.returned, c)
	c.w.mu.Unlock()
	c.w.poke()
	<-c.step
	c.read(resp)
	_ = resp.Body.Close()
}

func (c *call) setHeld(yes bool) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.held = yes
}

// read takes the answer as far as the caller wants it.
func (c *call) read(resp *exchange.Response) {
	var body io.Reader = resp.Body
	if c.want.hangsUp >= 0 {
		body = io.LimitReader(body, int64(c.want.hangsUp))
	}
	got, err := io.ReadAll(body)
	n, problem := checkBody(&c.req, resp, got, err == nil && c.want.hangsUp < 0)
	if problem != "" {
		c.w.fail("answer spliced", "call %d at %s: %s", c.n, c.site.name, problem)
	}
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.exec = n
	c.whole = err == nil && c.want.hangsUp < 0
}

// goOn lets the callers go on whose answers have begun, in their order.
func (w *World) goOn() {
	w.mu.Lock()
	returned := w.returned
	w.returned = nil
	w.mu.Unlock()
	for len(returned) > 0 {
		first := 0
		for i, c := range returned {
			if c.n < returned[first].n {
				first = i
			}
		}
		close(returned[first].step)
		returned = append(returned[:first], returned[first+1:]...)
		synctest.Wait()
	}
}

// letGo ends the caller's connection.
func (c *call) letGo() {
	if c.leave == nil {
		return
	}
	c.leave()
	select {
	case <-c.step:
	default:
		c.w.mu.Lock()
		waits := false
		for i, x := range c.w.returned {
			if x == c {
				c.w.returned = append(c.w.returned[:i], c.w.returned[i+1:]...)
				waits = true
				break
			}
		}
		c.w.mu.Unlock()
		if waits {
			close(c.step)
		}
	}
}

// onAccepted is called when hoft has promised to answer or report.
func (c *call) onAccepted(id exchange.ID) {
	p := c.proc
	if why := p.acceptedDurably(id); why != "" {
		c.w.fail("accepted before commit", "call %d at %s: %s", c.n, c.site.name, why)
	}
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.accepted = true
}

// errReader breaks an upload off.
type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("the caller broke off") }

// slowReader gives a few bytes at a time.
type slowReader struct {
	ctx   context.Context
	data  []byte
	pause time.Duration
}

func (r *slowReader) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	if !rest(r.ctx, r.pause) {
		return 0, r.ctx.Err()
	}
	n := copy(p[:min(len(p), 9000)], r.data)
	r.data = r.data[n:]
	return n, nil
}

// dice gives a source of choices of its own to a goroutine: what it draws must not depend on who else draws.
func (w *World) dice(id exchange.ID, n int) *rand.Rand {
	return rand.New(rand.NewPCG(w.plan.Seed^binary.BigEndian.Uint64(id[8:]), uint64(n)))
}
