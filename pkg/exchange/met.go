package exchange

import (
	"bytes"
	"slices"

	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
)

// early says that a call must wait until the peer has met this run: if our state is an older copy, what it holds as
// not begun may have been done, and only the peer can tell (PROTOCOL "At most once"). The same line tells how long what came
// before it lay in the pipe, while this site did not run.
func (m *Manager) early(s *node.Step, j *job) bool {
	return !s.Link(j.peer).Met() && (!j.repeat || j.unclear(s.Now))
}

// PeerMet implements node.Handler: what waited for it begins.
func (m *Manager) PeerMet(s *node.Step, peer identity.ID) {
	for _, j := range m.jobsWhere(func(j *job) bool { return j.peer == peer && j.state == jobEarly }) {
		m.begin(s, j)
	}
}

// jobsWhere gives the jobs of which something holds, oldest id first.
func (m *Manager) jobsWhere(holds func(*job) bool) []*job {
	var out []*job
	for _, j := range m.jobs {
		if holds(j) {
			out = append(out, j)
		}
	}
	slices.SortFunc(out, func(a, b *job) int { return bytes.Compare(a.id[:], b.id[:]) })
	return out
}

// doubt ends what has not begun and must not be repeated, when this site was set back: it may have been done since, and
// the rest of what came in part has come to the later life. Of what may be repeated, and of parts whose request has not
// come, all is sent again where the peer still wants it; else nobody would ever tell of its end.
func (m *Manager) doubt(s *node.Step, peer identity.ID) {
	for _, j := range m.jobsWhere(func(j *job) bool { return j.peer == peer && (j.state == jobEarly || j.state == jobBody) }) {
		switch {
		case !j.came:
			m.dropParts(s, j)
		case j.repeat && j.try == 0:
			m.dropParts(s, j)
			s.Store().PurgeExchange(j.id)
		case !j.repeat:
			m.turnDown(s, j, Problemf(CodeUncertain, "the site was set back to an older state, after which it may have made the call"))
		}
	}
}
