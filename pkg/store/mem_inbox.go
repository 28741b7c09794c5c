package store

import (
	"cmp"
	"slices"
)

func (s *memState) addInbox(i In) {
	k := inKey{i.Peer, i.PeerEpoch, i.ID}
	if s.inbox[k] != nil {
		return
	}
	i.Data, i.Body, i.SentAt, i.Received = storedBytes(i.Data), storedBytes(i.Body), stored(i.SentAt), stored(i.Received)
	s.arrivals++
	i.Part = i.Part && i.Exchange != [16]byte{}
	x := &memIn{In: i, n: s.arrivals, beside: i.Beside}
	x.Beside = 0
	s.inbox[k] = x
	if i.Exchange != ([16]byte{}) {
		if s.inEx[i.Exchange] == nil {
			s.inEx[i.Exchange] = map[inKey]struct{}{}
		}
		s.inEx[i.Exchange][k] = struct{}{}
	}
	s.noteFresh(nil, x)
}

func (s *memState) setInbox(o *setInbox) {
	k := inKey{o.peer, o.peerEpoch, o.id}
	old := s.inbox[k]
	if old == nil {
		return
	}
	x := *old
	x.State, x.Tries = o.state, o.tries
	s.replaceIn(k, old, &x)
}

// replaceIn puts x in the place of old; nil for none.
func (s *memState) replaceIn(k inKey, old, x *memIn) {
	s.inbox[k] = x
	s.noteFresh(old, x)
}

// noteFresh keeps the list of rows to be handled.
func (s *memState) noteFresh(old, x *memIn) {
	at := func(n uint64) (int, bool) {
		return slices.BinarySearchFunc(s.fresh, n, func(r *memIn, n uint64) int { return cmp.Compare(r.n, n) })
	}
	if old != nil {
		if i, ok := at(old.n); ok {
			s.fresh = slices.Delete(s.fresh, i, i+1)
		}
	}
	if x != nil && x.State == InNew {
		i, _ := at(x.n)
		s.fresh = slices.Insert(s.fresh, i, x)
	}
}

func (s *memState) removeIn(k inKey) {
	x := s.inbox[k]
	if x == nil {
		return
	}
	delete(s.inbox, k)
	s.noteFresh(x, nil)
	delete(s.inEx[x.Exchange], k)
	if len(s.inEx[x.Exchange]) == 0 {
		delete(s.inEx, x.Exchange)
	}
}

func (s *memState) dropInboxExchange(exchange [16]byte, below int) {
	for k := range s.inEx[exchange] {
		if below < 0 || s.inbox[k].Attempt < below {
			s.removeIn(k)
		}
	}
}

// partsDone says that an exchange has ended: its body parts are wanted no more.
func (s *memState) partsDone(exchange [16]byte) {
	for k := range s.inEx[exchange] {
		if old := s.inbox[k]; old.Part {
			x := *old
			x.Part = false
			s.replaceIn(k, old, &x)
		}
	}
}
