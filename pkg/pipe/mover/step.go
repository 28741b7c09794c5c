package mover

import (
	"container/heap"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// item is what the mover knows of one path.
type item struct {
	size    int64
	nth     int  // times the path was taken up before
	backs   int  // times it was brought back
	done    bool // delivered or lost
	arrived bool // delivered, in whatever state, and not deleted by the mover since
	fate    Fate
	data    []byte   // what was delivered, for Repeat and Resurrect
	open    *os.File // destination of a half-written file
	seen    uint64   // the walk that met it last
}

// task is something due at a time.
type task struct {
	at    time.Time
	order uint64 // keeps equal times in order
	path  string
	it    *item
	do    action
}

type action func(m *Mover, now time.Time, path string, it *item)

type byTime []task

func (q byTime) Len() int { return len(q) }
func (q byTime) Less(i, j int) bool {
	return q[i].at.Before(q[j].at) || q[i].at.Equal(q[j].at) && q[i].order < q[j].order
}
func (q byTime) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *byTime) Push(x any)   { *q = append(*q, x.(task)) }
func (q *byTime) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

func (m *Mover) later(at time.Time, path string, it *item, do action) {
	m.order++
	heap.Push((*byTime)(&m.queue), task{at: at, order: m.order, path: path, it: it, do: do})
}

// maxHeld bounds a file that is held in memory to be delivered again; longer ones come once.
const maxHeld = 1 << 20

// Step walks the source if it is time to, does what is due at now, and says when to come again. It does not wait.
func (m *Mover) Step(now time.Time) (next time.Time) {
	if m.c.Period == 0 || !now.Before(m.looks) {
		m.look(now)
		m.looks = now.Add(m.c.Period)
	}
	if next = m.looks; m.c.Period == 0 {
		next = now.Add(pollEvery)
	}
	for len(m.queue) > 0 && !m.queue[0].at.After(now) {
		t := heap.Pop((*byTime)(&m.queue)).(task)
		if m.files[t.path] == t.it { // else the name came anew
			t.do(m, now, t.path, t.it)
		}
	}
	if len(m.queue) > 0 && m.queue[0].at.Before(next) {
		next = m.queue[0].at
	}
	return next
}

// look walks the source and takes up what is new; then it deletes or brings back, as its kind does.
func (m *Mover) look(now time.Time) {
	m.order++
	walk := m.order
	err := filepath.WalkDir(m.c.From, func(p string, e fs.DirEntry, err error) error {
		if err != nil || strings.HasPrefix(e.Name(), ".") && p != m.c.From {
			if e != nil && e.IsDir() {
				return filepath.SkipDir
			}
			return nil // vanished under the walk, or hidden
		}
		if e.IsDir() && m.fsn != nil {
			_ = m.fsn.Add(p)
		}
		if e.Type().IsRegular() {
			m.meet(now, p, e, walk)
		}
		return nil
	})
	if m.c.Kind != Mirror && m.c.Kind != Resurrect {
		return
	}
	for path, it := range m.files {
		if it.done && it.open == nil {
			m.keepUp(now, path, it, err == nil && it.seen != walk)
		}
	}
}

// meet takes up a file that the walk came by.
func (m *Mover) meet(now time.Time, p string, e fs.DirEntry, walk uint64) {
	rel, err := filepath.Rel(m.c.From, p)
	if err != nil {
		return
	}
	path := filepath.ToSlash(rel)
	it := m.files[path]
	if it != nil && (!it.done || m.c.Kind != Move) {
		it.seen = walk
		return
	}
	fi, err := e.Info()
	if err != nil {
		return
	}
	next := &item{size: fi.Size(), seen: walk}
	if it != nil {
		if it.open != nil { // the same name again while its first coming is still half-written
			return
		}
		next.nth = it.nth + 1
	}
	next.fate = m.c.Fate(path, next.size, next.nth)
	m.files[path] = next
	if next.fate.Late {
		m.tell(Event{What: Delayed, Path: path, Size: next.size})
	}
	m.later(now.Add(next.fate.Delay), path, next, (*Mover).deliver)
}

// keepUp does what a mirroring or a resurrecting mover does with files that were deleted.
func (m *Mover) keepUp(now time.Time, path string, it *item, gone bool) {
	switch {
	case m.c.Kind == Mirror && gone && it.arrived:
		it.arrived = false
		if os.Remove(m.target(path)) == nil {
			m.tell(Event{What: Deleted, Path: path, Size: it.size})
		}
	case m.c.Kind == Resurrect && it.data != nil:
		to := ""
		if it.arrived && !there(m.target(path)) {
			to = m.target(path)
		} else if gone {
			to = m.source(path)
		}
		if to == "" {
			return
		}
		if !m.c.back(path, it.backs) {
			it.data = nil // this deletion stands
			return
		}
		it.backs++
		if m.write(to, it.data) == nil {
			m.tell(Event{What: Back, Path: path, Size: it.size, Came: int64(len(it.data))})
		}
	}
}

// deliver carries a file whose time has come.
func (m *Mover) deliver(now time.Time, path string, it *item) {
	data, err := os.ReadFile(m.source(path))
	if errors.Is(err, fs.ErrNotExist) {
		it.done = true
		m.tell(Event{What: Vanished, Path: path, Size: it.size})
		m.forget(path, it)
		return
	}
	if err != nil {
		m.fail(now, path, it, err)
		return
	}
	if m.c.OnTake != nil {
		m.c.OnTake(path)
	}
	if it.fate.Lost {
		m.finish(path, it, Event{What: Lost, Path: path, Size: int64(len(data))})
		return
	}
	came := data
	if it.fate.Cut >= 0 && it.fate.Cut < int64(len(data)) {
		came = data[:it.fate.Cut]
	}
	it.size = int64(len(data))
	if it.fate.Partial > 0 && it.fate.Split < int64(len(came)) {
		m.half(now, path, it, came)
		return
	}
	if err := m.write(m.target(path), came); err != nil {
		m.fail(now, path, it, err)
		return
	}
	m.delivered(now, path, it, came)
}

// delivered tells of a delivery and plans the second one.
func (m *Mover) delivered(now time.Time, path string, it *item, came []byte) {
	it.arrived = true
	what := Moved
	if int64(len(came)) < it.size {
		what = Cut
	}
	if len(came) <= maxHeld {
		if m.c.Kind == Resurrect || it.fate.Repeat > 0 {
			it.data = came
		}
		if it.fate.Repeat > 0 {
			m.later(now.Add(it.fate.Repeat), path, it, (*Mover).repeat)
		}
	}
	m.finish(path, it, Event{What: what, Path: path, Size: it.size, Came: int64(len(came))})
}

// finish ends the first delivery: a moved file leaves the source.
func (m *Mover) finish(path string, it *item, e Event) {
	it.done = true
	if m.c.Kind == Move {
		_ = os.Remove(m.source(path))
	}
	m.tell(e)
	m.forget(path, it)
}

// forget drops what nothing will ask for. All but Move remember each name, so as to carry it once.
func (m *Mover) forget(path string, it *item) {
	if m.c.Kind == Move && it.data == nil && it.open == nil {
		delete(m.files, path)
	}
}

func (m *Mover) repeat(_ time.Time, path string, it *item) {
	if err := m.write(m.target(path), it.data); err != nil {
		m.tell(Event{What: Failed, Path: path, Size: it.size, Err: err})
	} else {
		m.tell(Event{What: Repeated, Path: path, Size: it.size, Came: int64(len(it.data))})
	}
	if m.c.Kind != Resurrect {
		it.data = nil
	}
	m.forget(path, it)
}

// half writes the first part in place, as a mover without temporary names does, and plans the rest.
func (m *Mover) half(now time.Time, path string, it *item, came []byte) {
	to := m.target(path)
	err := m.folder(to)
	if err == nil {
		it.open, err = os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, m.c.FileMode)
	}
	if err == nil {
		_, err = it.open.Write(came[:it.fate.Split])
	}
	if err != nil {
		m.closeHalf(it)
		m.fail(now, path, it, err)
		return
	}
	m.tell(Event{What: Half, Path: path, Size: it.size})
	m.later(now.Add(it.fate.Partial), path, it, func(m *Mover, now time.Time, path string, it *item) {
		// Into the file that was opened, wherever it is now: if the reader removed it, the rest goes nowhere.
		_, err := it.open.Write(came[it.fate.Split:])
		err = errors.Join(err, m.closeHalf(it))
		if err != nil {
			m.fail(now, path, it, err)
			return
		}
		m.delivered(now, path, it, came)
	})
}

func (m *Mover) closeHalf(it *item) error {
	if it.open == nil {
		return nil
	}
	err := it.open.Close()
	it.open = nil
	return err
}

// fail tells of a failure and tries again soon.
func (m *Mover) fail(now time.Time, path string, it *item, err error) {
	m.tell(Event{What: Failed, Path: path, Size: it.size, Err: err})
	m.later(now.Add(10*m.c.Pause), path, it, (*Mover).deliver)
}

// abandon closes what was under way.
func (m *Mover) abandon() {
	for _, it := range m.files {
		_ = m.closeHalf(it)
	}
}

// write puts a file at its place by a temporary name and a rename, replacing what is there.
func (m *Mover) write(to string, data []byte) (err error) {
	if err := m.folder(to); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(to), ".mover-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(m.c.FileMode), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), to)
}

// folder makes the folder of a destination.
func (m *Mover) folder(to string) error {
	dir := filepath.Dir(to)
	if there(dir) {
		return nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	return os.Chmod(dir, m.c.DirMode)
}
