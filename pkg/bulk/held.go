package bulk

import "github.com/hoft/hoft/pkg/chunk"

// held is a bounded set of names; the oldest are forgotten first. Forgetting costs a chunk that is sent
// again, nothing else.
type held struct {
	at    map[chunk.Name]int
	order []chunk.Name
	next  int
	max   int
}

func newHeld(most int) held { return held{at: map[chunk.Name]int{}, max: most} }

func (h *held) has(n chunk.Name) bool {
	_, ok := h.at[n]
	return ok
}

func (h *held) add(n chunk.Name) {
	if h.has(n) {
		return
	}
	if len(h.order) < h.max {
		h.at[n] = len(h.order)
		h.order = append(h.order, n)
		return
	}
	if old := h.order[h.next]; h.at[old] == h.next {
		delete(h.at, old)
	}
	h.order[h.next], h.at[n] = n, h.next
	h.next = (h.next + 1) % h.max
}

func (h *held) remove(n chunk.Name) { delete(h.at, n) }
