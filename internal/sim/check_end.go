package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/store"
)

// acceptedDurably says what is missing of a call that is said to be accepted; "": nothing.
func (p *proc) acceptedDurably(id exchange.ID) string {
	row, err := p.db.Exchange(context.Background(), id, store.SideIngress)
	if errors.Is(err, store.ErrClosed) {
		return ""
	}
	if err != nil {
		return fmt.Sprintf("its row: %v", err)
	}
	if row.State != store.StateRunning {
		return "" // answered already
	}
	rows, err := p.db.OutboxExchange(context.Background(), id)
	if err != nil {
		return ""
	}
	stored := false
	for _, r := range rows {
		stored = stored || r.Kind == frame.KindReq
		if lacks := p.lacksChunks(r); lacks != "" {
			return lacks
		}
	}
	if !stored {
		return "its request is not stored"
	}
	return ""
}

// patience is how long after the repair everything may take: a few back-offs at their cap, and what is on its way.
func (w *World) patience() time.Duration {
	most := time.Hour
	for _, s := range w.sites {
		for _, o := range w.sites {
			if l := s.main().core.Link(o.id); l != nil {
				rtt, _, _ := l.RTT()
				most = max(most, 4*rtt)
			}
		}
	}
	return 4*most + 40*w.plan.DelayMax + w.plan.TailMax + 2*w.plan.StopFor + time.Hour
}

// row gives the row of a call at its site, and whether there is one.
func (c *call) row() (store.Exchange, bool) {
	row, err := c.site.main().db.Exchange(context.Background(), c.req.Exchange, store.SideIngress)
	return row, err == nil
}

// void says that a call's promise went with the state that held it.
func (c *call) void() bool { return c.life != c.site.life() }

// done is allEnded, looked at now and then only.
func (w *World) done() bool {
	if now := w.now(); now >= w.lookAt {
		w.lookAt = now + max(w.plan.DelayMax/4, 100*time.Millisecond)
		return w.allEnded()
	}
	return false
}

// allEnded says whether all is done: every call has ended, and every link is synchronized.
func (w *World) allEnded() bool {
	for _, c := range w.calls {
		if c.over {
			continue
		}
		if row, ok := c.row(); ok && row.State == store.StateRunning {
			return false
		}
		c.over = w.healthy // no state is set back any more
	}
	for _, s := range w.sites {
		for _, o := range w.sites {
			if l := s.main().core.Link(o.id); l != nil && !l.Synchronized() {
				return false
			}
		}
	}
	return w.mover.flying == 0 && w.fetchesEnded() && w.underWay() == ""
}

// underWay names a call to a callee that has not ended, whoever asked for it; "": there is none.
func (w *World) underWay() string {
	for _, s := range w.sites {
		rows, err := s.main().db.Exchanges(context.Background(), store.ExchangeFilter{Running: true, Limit: 10_000})
		if err != nil {
			return err.Error()
		}
		for _, e := range rows {
			if e.Side == store.SideEgress && e.Stage == exchange.StageCalling {
				return fmt.Sprintf("%s %s at %s, try %d", e.Method, e.Target, s.name, e.Attempt)
			}
		}
	}
	return ""
}

// checkEnded says what has not ended in time.
func (w *World) checkEnded() {
	if !w.ok() || w.allEnded() {
		return
	}
	w.tellLinks()
	for _, c := range w.calls {
		row, ok := c.row()
		switch {
		case !ok && c.isAccepted() && !c.void():
			w.fail("nothing lost", "call %d was accepted by %s, which knows nothing of it", c.n, c.site.name)
		case ok && row.State == store.StateRunning:
			w.fail("progress", "call %d (%s, %s to %s) has not ended %v after the repair: stage %s, executed %d times", c.n, c.req.Method,
				c.site.name, c.peer.name, w.patience(), row.Stage, len(c.executed))
		}
	}
	for _, s := range w.sites {
		for _, o := range w.sites {
			if l := s.main().core.Link(o.id); l != nil && !l.Synchronized() {
				m, _ := l.Held()
				own, pep := l.Epoch()
				w.fail("progress", "%s and %s are not synchronized after the repair: %d messages held, epochs %d and %d, %+v, stopped %q", s.name, o.name, m, own, pep, l.Stats(), l.Stopped())
			}
		}
	}
	if x := w.underWay(); x != "" {
		w.fail("progress", "a call to a callee has not ended: %s", x)
	}
	w.checkFetches()
	w.fail("progress", "the mover is not done, %d files", w.mover.flying)
}

// checkSilence demands that sites that have nothing to say write their heartbeats and nothing else.
func (w *World) checkSilence() {
	w.until("calm", 4*w.plan.DelayMax+2*time.Minute+w.plan.Heartbeat, func() bool { return false })
	const beats = 6
	before := w.report.Files
	w.book.copies = 0
	w.until("silence", beats*w.plan.Heartbeat, func() bool { return false })
	links := len(w.sites) * (len(w.sites) - 1)
	if n := w.report.Files - before; n > links*(beats+1) || n < links*(beats-2) {
		w.fail("silence", "%d files in %d heartbeats of %d directions, want %d", n, beats, links, links*beats)
	}
	if w.book.copies > 0 {
		w.fail("silence", "%d messages were written with nothing to say", w.book.copies)
	}
	if w.plan.Mover == Moves || w.plan.Mover == OneFolder {
		return // nothing of what lies in a folder is its sender's doing
	}
	for _, s := range w.sites {
		for _, o := range s.others() {
			own, err := s.main().pipe.ListOwn(o)
			if err != nil {
				panic(err)
			}
			if len(own) > 3 && !s.leftovers {
				w.fail("files bounded", "%s has left %d files for %s", s.name, len(own), w.byID(o).name)
			}
		}
	}
}

func (c *call) isAccepted() bool {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	return c.accepted
}

// checkAnswers holds what every call ended with against what was executed.
func (w *World) checkAnswers() {
	for _, c := range w.calls {
		row, ok := c.row()
		if !ok {
			if c.isAccepted() && !c.void() {
				w.fail("nothing lost", "call %d was accepted by %s, which knows nothing of it", c.n, c.site.name)
			}
			continue
		}
		c.checkOutcome(row)
	}
	w.checkWaste()
}

// checkOutcome holds one call's end against its executions.
func (c *call) checkOutcome(row store.Exchange) {
	w := c.w
	switch {
	case row.State == exchange.StateSucceeded && len(c.executed) == 0:
		w.fail("outcome", "call %d succeeded and was never executed", c.n)
	case row.Problem == exchange.CodeDeadline && len(c.executed) > 0 && c.excused() == "":
		w.fail("outcome", "call %d ended with its deadline passed, and was executed at %v", c.n, c.executed[0].at)
	case row.State != exchange.StateSucceeded && w.plan.NoDisturbance:
		w.fail("outcome", "call %d ended %s (%s: %s) although nothing disturbed it", c.n, row.State, row.Problem, row.Detail)
	case c.whole && !c.void() && row.State != exchange.StateSucceeded && !c.forgotten():
		w.fail("outcome", "the caller of call %d got its answer, and it ended %s (%s)", c.n, row.State, row.Problem)
	case row.State == exchange.StateCanceled && c.want.leaves == 0 && c.want.hangsUp < 0 && w.report.Disasters == 0:
		w.fail("outcome", "call %d ended canceled (%s), and nobody wished that", c.n, row.Detail)
	case row.State == exchange.StateUncertain && w.machinesHeld():
		w.fail("outcome", "call %d ended uncertain, and no machine ever failed", c.n)
	}
	if row.State != exchange.StateSucceeded {
		return
	}
	resp, err := c.site.main().m.Result(context.Background(), c.req.Exchange)
	if err != nil {
		w.fail("outcome", "the answer of call %d is not there: %v", c.n, err)
		return
	}
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		w.fail("outcome", "the answer of call %d cannot be read: %v", c.n, err)
		return
	}
	if _, problem := checkBody(&c.req, resp, got, true); problem != "" {
		w.fail("answer spliced", "call %d as stored: %s", c.n, problem)
	}
}

// noteUnsaved notes that the answer of a call is not on the disk when the process that gave it ends, or (its other copy goes)
// the callees' side loses its state: then the caller may still get it out of memory.
func (c *call) noteUnsaved(disk *folder, yet bool) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if row, err := disk.Exchange(context.Background(), c.req.Exchange, store.SideIngress); (c.whole || yet) && err == nil && row.State == store.StateRunning {
		c.unsaved = true
	}
}

// forgotten says that nobody can know what became of a call any more but its caller: an answer is passed on before it is
// durable; this one never was here, and its other copy went with a state of the callees' side.
func (c *call) forgotten() bool {
	return c.unsaved && c.executed[c.exec-1].life != c.peer.life()
}

// machinesHeld says that no machine failed in this run.
func (w *World) machinesHeld() bool {
	return w.report.Disasters == 0 && w.report.Crashes == len(w.sites)
}

// excused says why a call may have been executed twice, "" if nothing excuses it: where the callees' side runs twice
// or was set back, it may not know what it has done (docs/reliability.md, "What cannot be decided").
func (c *call) excused() string {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	now := c.peer.life()
	for _, e := range c.executed {
		if e.life.restored != now.restored || e.life.cloned != now.cloned {
			return "the callees' side was set back or doubled"
		}
	}
	if len(c.peer.procs) > 1 {
		return "the callees' side runs twice"
	}
	return ""
}

// written is how much a link has written at some moment.
type written struct{ sent, again uint64 }

// noteWritten remembers how much every link has written; called in the middle of the calls, when round trips are known.
func (w *World) noteWritten() {
	w.book.half = map[direction]written{}
	w.eachLink(func(s, o *site, l *link.Link) {
		st := l.Stats()
		if _, _, measured := l.RTT(); !measured {
			return // until then hoft assumes a second, and writes again what takes days
		}
		w.book.half[direction{s.id, o.id}] = written{st.MessagesSent, st.Resent}
	})
}

// eachLink visits the links of the sites that run.
func (w *World) eachLink(visit func(s, o *site, l *link.Link)) {
	for _, s := range w.sites {
		for _, o := range w.sites {
			if p := s.main(); p != nil && o != s {
				visit(s, o, p.core.Link(o.id))
			}
		}
	}
}

// checkWaste demands that little is written again where nothing was lost, once round trips are known.
func (w *World) checkWaste() {
	if !w.plan.NoDisturbance || w.plan.MaxRanges < 64 {
		return // at the bound of ranges what came is not always taken
	}
	w.eachLink(func(s, o *site, l *link.Link) {
		st := l.Stats()
		half, ok := w.book.half[direction{s.id, o.id}]
		if !ok {
			return
		}
		sent, again := st.MessagesSent-half.sent, st.Resent-half.again
		w.report.Sent, w.report.Again = w.report.Sent+sent, w.report.Again+again
		if again > 20+sent {
			w.fail("bytes bounded", "%s has written %d of %d messages to %s again, and none was lost", s.name, again, sent, o.name)
		}
	})
}

// tally sums up.
func (w *World) tally() {
	r := &w.report
	r.Calls = len(w.calls)
	r.Crashes -= len(w.sites) + r.Stops
	for _, c := range w.calls {
		if !c.accepted {
			continue
		}
		r.Accepted++
		row, err := c.site.disk.Exchange(context.Background(), c.req.Exchange, store.SideIngress)
		switch {
		case err != nil:
			r.Ended["void"]++
		case row.Problem != "":
			r.Ended[row.Problem]++
		default:
			r.Ended[row.State]++
		}
	}
}

// tellLinks describes every link, for people.
func (w *World) tellLinks() {
	for _, s := range w.sites {
		for _, o := range w.sites {
			if l := s.main().core.Link(o.id); l != nil && w.trace.verbose {
				m, _ := l.Held()
				own, pep := l.Epoch()
				st := l.State()
				w.trace.tell(w, fmt.Sprintf("%s to %s: epochs %d and %d, %d held, last %d, contig %d, ooo %v, peer base %d, peer last %d, %+v, next resend %v, stopped %q, stats %+v",
					s.name, o.name, own, pep, m, st.LastID, st.Contig, st.OOO, st.PeerBase, st.PeerLast, l.Sizes(), l.NextResend().Sub(s.main().now()), l.Stopped(), l.Stats()))
			}
		}
	}
}
