package sim

import (
	"container/heap"
	"time"
)

// event is something planned.
type event struct {
	at time.Duration
	n  uint64 // order of planning
	fn func()
}

// events is a heap of what is planned, earliest first.
type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].n < e[j].n
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

// Push and Pop are for container/heap.
func (e *events) Push(x any) { *e = append(*e, x.(event)) }

// Pop takes the last element away.
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	old[len(old)-1] = event{}
	*e = old[:len(old)-1]
	return x
}

// agenda is what is planned, in the order in which it happens.
type agenda struct {
	events
	planned uint64
}

func (a *agenda) add(at time.Duration, fn func()) {
	a.planned++
	heap.Push(&a.events, event{at, a.planned, fn})
}

// pop lets the earliest happen.
func (a *agenda) pop() { heap.Pop(&a.events).(event).fn() }
