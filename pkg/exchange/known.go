package exchange

import (
	"context"
	"errors"

	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// known deals with a request whose id this site has met before, or may have met (PROTOCOL "Epochs").
//
// A message comes once per epoch pair, so a request that was accepted in the present epoch and is sent
// for the first time is new; only what is sent again, or dates from an older epoch, is looked up.
//
// tries is how often the call was made before; a new try has a higher number, so that no part of an old answer can be
// taken for one of the new.
func (m *Manager) known(s *node.Step, d *node.Delivery, r *reqData) (tries int, done bool) {
	p := m.gone[r.Exchange]
	switch {
	case p == nil && r.Attempt <= 1 && r.Oep == d.PeerEpoch:
		return 0, false
	case p != nil: // its row, if it has one, may not say so yet, but it counts the tries
		if row, err := m.jobRow(r.Exchange); err == nil && row.Peer == d.Peer {
			tries = row.Attempt
		}
		m.refuse(s, d.Peer, r.Exchange, r.Attempt*attemptsPerRequest+tries, p, s.Now)
		return tries, true
	}
	row, err := m.store.Exchange(context.Background(), r.Exchange, store.SideEgress)
	refuse := func(p *Problem) (int, bool) {
		// Under the number of the newest try: parts of its answer may have come to a peer that was set back since.
		m.refuse(s, d.Peer, r.Exchange, r.Attempt*attemptsPerRequest+row.Attempt, p, s.Now)
		m.endAnswer(s, d.Peer, r.Exchange)
		return 0, true
	}
	switch {
	case err == nil && row.Peer != d.Peer:
		m.mistake(d.Peer)
		m.refuse(s, d.Peer, r.Exchange, r.Attempt*attemptsPerRequest, Problemf(CodeInternal, "the id of the call is that of another site's"), s.Now)
		return 0, true
	case err == nil && row.State == StateCanceled:
		return refuse(wordOf(row))
	case err == nil && !row.Ended.IsZero() && row.Problem != "" && row.Attempt == 0:
		return refuse(Problemf(row.Problem, "%s", row.Detail)) // the word that was given holds: it may be on its way
	case err == nil && row.Attempt == 0:
		return 0, false // never begun
	case err == nil && m.mayRepeat(r) && (r.Parts == 0 || row.Ended.IsZero()):
		return row.Attempt, false // parts of its body that came before it were not kept
	case err == nil:
		return refuse(Problemf(CodeUncertain, "the call was made once already and its answer is no longer here"))
	case !errors.Is(err, store.ErrNotFound):
		m.cfg.Log.Error().Stringer("exchange", r.Exchange).Err(err).Msg("cannot look up an exchange")
		row.Attempt = attemptsPerRequest - 1 // the number that no try comes behind
		return refuse(Problemf(CodeUncertain, "this site cannot read whether it made the call before"))
	}
	if r.Oep != 0 && r.Oep < d.PeerEpoch && !m.mayRepeat(r) && m.horizon.mayCover(d.Peer, r.Exchange) {
		p := Problemf(CodeUncertain, "the request is older than what this site remembers; it may have been made already")
		m.dropRequest(s, d.Peer, r.Exchange, p) // parts of its body may be here, or come yet
		return refuse(p)
	}
	return 0, false
}

// wordOf is what the request of an exchange gets that was ended as canceled.
func wordOf(row store.Exchange) *Problem {
	if row.Problem != "" {
		return &Problem{Code: row.Problem, Detail: row.Detail}
	}
	return canceledAfter(row.Attempt)
}

// askedAgain takes a request whose job is under way already: what it asks for will come, but under which number? A
// peer that was set back has forgotten what it had of the answer; one that thinks us so has dropped it. Both say so by
// a higher attempt, or, set back twice, by the same one once more.
func (m *Manager) askedAgain(s *node.Step, j *job, r *reqData, inline []byte, cost int64) *node.Keep {
	a := m.askOf(r)
	switch {
	case r.Attempt < j.newest(), r.Attempt == j.newest() && !j.answering():
		return nil
	case a.upstream != j.upstream || a.repeat != j.repeat || a.parts != j.parts:
		m.mistake(j.peer) // another request under the same id
		return nil
	case j.state == jobCalling && !j.ended() && !m.mayRepeat(r) && !j.begun:
		return nil // its answer has yet to begin, and will come whole
	case !m.more(s.Now, j.peer, 0, cost):
		m.againTooMuch(s, j, r)
		return nil
	case j.ended():
		return m.askedAfter(s, j, r, inline, cost)
	case j.state != jobCalling:
		j.ask = a // nothing was answered yet
	default:
		j.again = r // when the present call has ended; nobody may open its window any more
		j.window.raise(noWindow)
		m.endVoid(j)
	}
	j.held += cost
	return &node.Keep{Exchange: j.id, Size: int64(len(inline))}
}

// againTooMuch ends a request that came again and for which its peer has no room: what it was asked for under before is void there.
func (m *Manager) againTooMuch(s *node.Step, j *job, r *reqData) {
	if j.state != jobCalling {
		m.unqueue(j)
		j.sending = r.Attempt
		m.crowded(s, j)
		return
	}
	m.mistake(j.peer)
	m.refuse(s, j.peer, j.id, r.Attempt*attemptsPerRequest+j.try,
		Problemf(CodeUncertain, "the call was made, and was asked for again when the other site kept as much unfinished for this one as it may"), j.arrived)
}

// newest is the attempt of the request that came last.
func (j *job) newest() int {
	if j.run != nil && j.again != nil {
		return max(j.sending, j.again.Attempt)
	}
	return j.sending
}

// answering says whether a part of an answer was sent that may not be all of it.
func (j *job) answering() bool { return j.run != nil && j.begun }

// endVoid ends a call whose answer has begun, and which is to be made again: an answer without end would hold that up for ever. Where
// it must not be made again, its caller's site may still have the beginning, and then it needs the rest.
func (m *Manager) endVoid(j *job) {
	if j.again != nil && m.mayRepeat(j.again) && j.begun && j.stop != nil {
		j.stop()
	}
}

// askedAfter is askedAgain for a job that has been concluded, but not durably so.
func (m *Manager) askedAfter(s *node.Step, j *job, r *reqData, inline []byte, cost int64) *node.Keep {
	switch {
	case j.canceled:
		m.refuseCanceled(s, j, r)
	case m.mayRepeat(r) && r.Parts == 0:
		m.onceMore(s, &job{id: j.id, peer: j.peer, ask: m.askOf(r), fresh: &request{r, inline}, held: cost, try: j.try, arrived: s.Now, due: j.due})
		return &node.Keep{Exchange: j.id, Size: int64(len(inline))}
	case m.mayRepeat(r) || j.begun:
		m.refuseAnswered(s, j, r)
	}
	return nil // its answer has just been sent, and will come whole
}

// onceMore takes up a job of an exchange that had one before: its answer is a new one, with a window of its own.
func (m *Manager) onceMore(s *node.Step, j *job) {
	m.jobs[j.id] = j
	m.put(s, j, StageArrived)
	m.begin(s, j)
}

// refuseAnswered refuses a request whose answer has been sent, under a number that its caller's site takes for void, or has taken
// a part of.
func (m *Manager) refuseAnswered(s *node.Step, j *job, r *reqData) {
	m.refuse(s, j.peer, j.id, r.Attempt*attemptsPerRequest+j.try, answerLost(), j.arrived)
	m.endAnswer(s, j.peer, j.id)
}

// refuseCanceled refuses a request that was canceled, before it came or after, while an earlier sending of it was under way.
func (m *Manager) refuseCanceled(s *node.Step, j *job, r *reqData) {
	m.refuse(s, j.peer, j.id, r.Attempt*attemptsPerRequest+j.try, Problemf(CodeCanceled, "the call was ended at the caller's wish"), j.arrived)
	m.endAnswer(s, j.peer, j.id)
}

// answerLost is how a call ends that was made, and whose answer cannot be had any more.
func answerLost() *Problem {
	return Problemf(CodeUncertain, "the call was made, and its answer was lost by the site that asked for it")
}

func (m *Manager) mayRepeat(r *reqData) bool {
	return Repeatable(r.Method) || r.Keyed && m.cfg.Honoured(r.Upstream)
}
