package dataapi

import (
	"sync"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
)

// ledger counts the bytes of data that are kept, and of what is coming: both are pinned and take room that exchanges
// need too. Safe for concurrent use.
type ledger struct {
	mu     sync.Mutex
	most   int64 // that may be kept
	kept   int64
	coming int64
	by     map[chunk.Owner]int64 // of coming
}

// spare is the part of most that what comes may take beyond it: what is kept already may come again, and then takes nothing
// in the end.
const spare = 4

// come notes n more bytes on their way, or refuses them.
func (l *ledger) come(owner chunk.Owner, n int64) *exchange.Problem {
	l.mu.Lock()
	defer l.mu.Unlock()
	if left := l.most + l.most/spare - l.kept - l.coming; n > left {
		return exchange.Problemf(exchange.CodeDataFull, "%d bytes are kept and %d are being stored; with more it would be too much (data.max_bytes)", l.kept, l.coming)
	}
	if l.by == nil {
		l.by = map[chunk.Owner]int64{}
	}
	l.by[owner] += n
	l.coming += n
	return nil
}

// set says how much of what is coming for an owner has been stored; nothing else is on its way for it.
func (l *ledger) set(owner chunk.Owner, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.by[owner]; ok {
		l.coming += n - l.by[owner]
		l.by[owner] = n
	}
}

// came ends what is on its way for an owner.
func (l *ledger) came(owner chunk.Owner) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.coming -= l.by[owner]
	delete(l.by, owner)
}

// keep notes n more bytes that are kept, or refuses them.
func (l *ledger) keep(n int64) *exchange.Problem {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n > l.most-l.kept {
		return exchange.Problemf(exchange.CodeDataFull, "%d bytes are kept and %d more would be, of at most %d (data.max_bytes)", l.kept, n, l.most)
	}
	l.kept += n
	return nil
}

// release notes that n bytes are not kept any more.
func (l *ledger) release(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept -= n
}
