package exchange

import (
	"slices"

	"github.com/hoft/hoft/pkg/identity"
)

// line is the jobs that wait for one upstream: those of each peer in order, and the peers take turns, so that one that
// asks for much does not hold up the others. Whatever waits, each change of it costs the same.
type line struct {
	peers map[identity.ID]*peerLine
	turns []*peerLine // of those for whom something waits, the next one first
}

// peerLine is a list of jobs that are linked to each other.
type peerLine struct {
	peer        identity.ID
	first, last *job
}

// add puts a job at the end of its peer's.
func (l *line) add(j *job) {
	p := l.peers[j.peer]
	if p == nil {
		p = &peerLine{peer: j.peer}
		if l.peers == nil {
			l.peers = map[identity.ID]*peerLine{}
		}
		l.peers[j.peer] = p
		l.turns = append(l.turns, p)
	}
	if j.before = p.last; p.last != nil {
		p.last.after = j
	} else {
		p.first = j
	}
	p.last = j
}

// take gives the next job, nil if none waits: of another peer than the one that has just had its turn, if there is one.
func (l *line) take(had identity.ID) *job {
	if len(l.turns) == 0 {
		return nil
	}
	if len(l.turns) > 1 && l.turns[0].peer == had {
		l.turn()
	}
	j := l.turns[0].first
	l.turn()
	l.remove(j)
	return j
}

// turn ends the turn of the first peer.
func (l *line) turn() {
	first := l.turns[0]
	l.turns = append(slices.Delete(l.turns, 0, 1), first)
}

// remove takes a job out that waits.
func (l *line) remove(j *job) {
	p := l.peers[j.peer]
	if j.before != nil {
		j.before.after = j.after
	} else {
		p.first = j.after
	}
	if j.after != nil {
		j.after.before = j.before
	} else {
		p.last = j.before
	}
	j.before, j.after = nil, nil
	if p.first == nil {
		delete(l.peers, j.peer)
		l.turns = slices.DeleteFunc(l.turns, func(x *peerLine) bool { return x == p })
	}
}

// enqueue has a job wait for a slot of its upstream.
func (m *Manager) enqueue(j *job) {
	l := m.queued[j.upstream]
	if l == nil {
		l = &line{}
		m.queued[j.upstream] = l
	}
	j.state = jobQueued
	l.add(j)
}

// unqueue takes a job out of the queue, if it is there.
func (m *Manager) unqueue(j *job) {
	l := m.queued[j.upstream]
	if j.state != jobQueued || l == nil {
		return
	}
	l.remove(j)
	m.tidy(j.upstream)
}

// dequeue takes the next job that waits for an upstream, nil if none does. had is the peer that has just had its turn.
func (m *Manager) dequeue(up string, had identity.ID) *job {
	l := m.queued[up]
	if l == nil {
		return nil
	}
	j := l.take(had)
	m.tidy(up)
	return j
}

// tidy forgets a line in which nothing waits.
func (m *Manager) tidy(up string) {
	if len(m.queued[up].turns) == 0 {
		delete(m.queued, up)
	}
}
