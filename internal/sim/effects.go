package sim

import (
	"context"
	"errors"
	"fmt"
	"testing/synctest"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/store"
)

// carryOut has done what the core wants, each thing a moment later.
func (p *proc) carryOut(e node.Effects) {
	if c := e.Commit; c != nil {
		p.commit(c)
	}
	for _, wr := range e.Writes {
		p.write(wr)
	}
	for _, pw := range e.Packs {
		p.putPack(pw)
	}
	for _, r := range e.Reads {
		p.takePack(r)
	}
	for _, l := range e.Loads {
		p.later(20*time.Microsecond, time.Millisecond, func() {
			rows, err := l.Rows(context.Background(), p.db)
			p.core.Loaded(p.now(), l, rows, err)
		})
	}
	if len(e.Remove)+len(e.Consume) > 0 {
		p.later(20*time.Microsecond, 2*time.Millisecond, func() { p.clean(e.Remove, e.Consume) })
	}
	for _, peer := range e.Looks {
		p.later(20*time.Microsecond, 2*time.Millisecond, func() {
			files, err := p.pipe.ListOwn(peer)
			p.core.Looked(p.now(), peer, files, err)
			synctest.Wait()
		})
	}
}

// later plans something of this process: it does not happen when the process ends before. Then the loop turns.
func (p *proc) later(lo, hi time.Duration, fn func()) {
	p.w.after(p.w.between(lo, hi), func() {
		if p.dead {
			return
		}
		fn()
		if !p.dead {
			p.w.stir(p)
		}
	})
}

// commit has a batch made durable, and a moment later the core told.
func (p *proc) commit(c *node.Commit) {
	w := p.w
	most := 2 * time.Millisecond
	if w.chance(w.plan.SlowCommits) {
		most = 300 * time.Millisecond
	}
	p.later(50*time.Microsecond, most, func() {
		if w.crashNow(p) {
			return // not durable
		}
		err := store.ErrFull
		if !p.site.full {
			err = p.db.Apply(c.Batch)
		} else {
			w.struck(FaultDiskFull)
		}
		w.trace.note(w, 'C', uint64(p.n), uint64(c.Batch.Len()))
		if err == nil {
			p.readRows()
			p.checkCommitted()
		} else if !errors.Is(err, store.ErrFull) {
			w.fail("commit", "%s: %v", p.site.name, err)
		}
		if w.crashNow(p) {
			return // durable, and nobody was told
		}
		p.later(5*time.Microsecond, 100*time.Microsecond, func() { p.core.Committed(p.now(), err); synctest.Wait() })
	})
}

// write seals a frame and puts it, and a moment later tells the core.
func (p *proc) write(wr node.Write) {
	w := p.w
	said := p.checkWrite(wr)
	p.later(20*time.Microsecond, 3*time.Millisecond, func() {
		if w.crashNow(p) {
			return // not written
		}
		var data []byte
		var err error
		if o, ok := p.seal.(standIn); ok {
			o.note(wr.Name, wr.Lines, said)
		}
		for _, claims := range wr.Lines {
			if data, err = p.seal.to(wr.Peer).Seal(data, claims); err != nil {
				panic(err)
			}
		}
		if !w.healthy && w.chance(w.plan.PutFail) {
			w.struck(FaultNotWritten)
			err = pipe.ErrNoSpace
		} else {
			err = p.pipe.Put(context.Background(), wr.Name, data)
		}
		if w.trace.verbose {
			w.trace.tell(w, fmt.Sprintf("%s -> %s: file %d, messages %v, %d bytes, %v", p.site.name, w.byID(wr.Peer).name, wr.Name.Seq, kinds(said), len(data), err))
		}
		w.trace.note(w, 'W', uint64(p.n), wr.Name.Seq, uint64(len(data)), mix(wr.Lines...))
		if err == nil {
			p.wrote(wr.Name, data)
		}
		if w.crashNow(p) {
			return // written, and not noted
		}
		p.later(5*time.Microsecond, 100*time.Microsecond, func() { p.core.Wrote(p.now(), wr.Peer, int64(len(data)), err) })
	})
}

// kinds lists the messages of a file for people; of those about packs, of which no handler is told, all of it.
func kinds(said []*frame.Claims) (out []string) {
	for _, c := range said {
		if len(c.Caps) > 0 {
			out = append(out, "hello")
		}
		for i := range c.Msg {
			m := &c.Msg[i]
			word := fmt.Sprintf("%d %s", m.ID, m.Kind)
			if ownKind(m.Kind) {
				word += fmt.Sprintf(" %.200s", m.Data)
			}
			out = append(out, word)
		}
	}
	return out
}

// filesPerMinute is more than any plan gives occasion to.
const filesPerMinute = 10_000

// wrote notes a file that was put.
func (p *proc) wrote(name frame.Name, data []byte) {
	p.w.report.Files++
	if name.Ext == frame.ExtPack {
		p.w.report.Packs++
	}
	if minute := p.w.now() / time.Minute; minute != p.minute {
		p.minute, p.files = minute, 0
	}
	if p.files++; p.files > filesPerMinute {
		p.w.fail("bytes bounded", "%s writes %d files in a minute", p.site.name, p.files)
	}
	p.w.mover.appeared(p.site, name, data)
}

// clean removes own files that are needed no more, and files of the inbox whose effects are durable.
func (p *proc) clean(own []frame.Name, consumed []any) {
	for _, n := range own {
		ok, err := p.pipe.RemoveOwn(n)
		if err != nil {
			p.w.fail("remove", "%s: %v", p.site.name, err)
		}
		if ok {
			p.w.mover.vanished(p.site, n)
		}
		p.core.Removed(n, !ok)
	}
	for _, t := range consumed {
		f := t.(pipe.File)
		p.checkConsumed(f)
		if err := p.pipe.Remove(f); err != nil && !errors.Is(err, pipe.ErrGone) && !errors.Is(err, pipe.ErrChanged) {
			p.w.fail("remove", "%s: %v", p.site.name, err)
		}
	}
}

// scan looks into the inbox.
func (p *proc) scan() {
	now := p.now()
	files, err := p.pipe.Scan(now)
	if err != nil {
		p.w.fail("scan", "%s: %v", p.site.name, err)
	}
	for _, f := range files {
		p.reader.File(now, f, func(peer identity.ID, in link.File, token any) bool {
			p.noteFile(f, in)
			p.core.Inbound(p.now(), peer, in, token)
			synctest.Wait()
			p.checkTaken(f, in)
			return true
		})
	}
	if p.pipe.Stats().Waiting > 0 {
		p.site.scanSoon(time.Second)
	}
	if len(files) > 0 {
		p.w.stir(p)
	}
}
