package exchange

import (
	"context"
	"time"
	"unique"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/link"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/planted"
	"github.com/hoft/hoft/pkg/store"
)

// jobState is how far a job got. Only jobCalling means that the callee may know of it.
type jobState int

const (
	jobBody    jobState = iota // parts of the body came, the rest or the request itself did not
	jobEarly                   // complete; waits for the peer to meet this run of the site
	jobQueued                  // complete; waits for a slot
	jobCalling                 // intent is durable; the call runs
)

// job is one unfinished exchange at the callees' side. It belongs to the loop. Very many may wait, so it holds what is
// needed to decide about it; the request itself lies in the store until the call is made.
type job struct {
	id   ID
	peer identity.ID
	ask
	body    *inbound // where it comes in parts; nil: none has come
	state   jobState
	stored  bool  // its row is written, and its request is kept
	held    int64 // what the peer is charged for it
	try     int   // of this site, under the request's attempt
	arrived time.Time
	due
	before, after *job     // in the queue
	fresh         *request // as it came, until it is stored; nil: it is read again
	*run                   // nil unless it is jobCalling
}

// ask is what is needed of a request while it waits.
type ask struct {
	came         bool // false while only parts of the body came
	repeat       bool // it may be made again
	plain        bool
	newly, fixed bool // reqData.Fresh, reqData.Fixed
	upstream     string
	sending      int   // reqData.Attempt
	parts        int64 // bytes of its body that come in parts
	win          int64
}

// request is one as it came.
type request struct {
	*reqData
	inline []byte
}

// run is a call under way.
type run struct {
	called time.Time
	window window             // of the answer's body
	stop   context.CancelFunc // ends the call
	begun  bool               // a part of the answer was sent
	over   bool               // concluded, not yet durably
	again  *reqData           // a higher attempt of the request that came during the call
	told   bool
	// canceled says that the caller gave it up; between intent and call it is not begun then.
	canceled bool
}

// ended says that a job was concluded, but not yet durably.
func (j *job) ended() bool { return j.run != nil && j.over }

// giveUp ends a call whose answer is not wanted any more.
func (r *run) giveUp() {
	if r.canceled = true; r.stop != nil {
		r.stop()
	}
}

// attempt is the number that the response carries: higher for every new try.
func (j *job) attempt() int { return j.sending*attemptsPerRequest + j.try }

func (j *job) complete() bool {
	return j.came && (j.parts == 0 || j.body != nil && j.body.covers(j.parts))
}

// parcel is where parts of the job's body are noted.
func (j *job) parcel() *inbound {
	if j.body == nil {
		j.body = &inbound{}
	}
	return j.body
}

// askOf gives what is needed of a request while it waits.
func (m *Manager) askOf(r *reqData) ask {
	return ask{came: true, repeat: m.mayRepeat(r), plain: r.Plain, newly: r.Fresh, fixed: r.Fixed, upstream: unique.Make(r.Upstream).Value(),
		sending: r.Attempt, parts: r.Parts, win: r.Win}
}

// onReq takes a request: admitted and complete, its intent is made durable with its receipt.
func (m *Manager) onReq(s *node.Step, d *node.Delivery) (*node.Keep, error) {
	r, err := decode[reqData](d.Data)
	if err == nil && r.Oep >= frame.MaxEpoch {
		err = errEpoch
	}
	if err != nil {
		return nil, err
	}
	j := m.jobs[r.Exchange]
	if j != nil && j.peer != d.Peer || j == nil && m.ours(r.Exchange) {
		m.mistake(d.Peer)
		m.refuse(s, d.Peer, r.Exchange, r.Attempt*attemptsPerRequest, Problemf(CodeInternal, "the id of the call is that of another site's"), s.Now)
		return nil, nil
	}
	inline, err := (&d.Message).Plain()
	if err != nil {
		return nil, err
	}
	cost := costOf(r, len(d.Data), int64(len(inline)))
	if j != nil && j.came {
		return m.askedAgain(s, j, r, inline, cost), nil
	}
	tries, done := m.known(s, d, r)
	switch {
	case done:
		return nil, nil
	case j == nil:
		j = &job{id: r.Exchange, peer: d.Peer}
	case r.Parts > 0:
		cost -= bodyCost // charged with the first part
	}
	j.try = tries
	if !m.more(s.Now, d.Peer, 0, cost) {
		m.mistake(d.Peer)
		p := unmade(m.tooMuch(), r.Attempt, tries)
		m.refuse(s, d.Peer, r.Exchange, r.Attempt*attemptsPerRequest+tries, p, s.Now)
		if m.jobs[j.id] == j { // parts of its body had come
			m.less(j.peer, j.pieces(), j.held)
		}
		m.dropRequest(s, d.Peer, j.id, p) // parts of its body may come yet, or it itself once more
		return nil, nil
	}
	j.ask, j.fresh, j.arrived = m.askOf(r), &request{r, inline}, s.Now
	j.held += cost
	j.due = dueOf(r, d.SentAt, d.Received)
	j.learn(s.Link(d.Peer))
	if p := m.admit(j, j.fresh); p != nil {
		m.turnDown(s, j, p)
		return nil, nil
	}
	m.jobs[j.id] = j
	if j.complete() {
		m.begin(s, j)
	} else {
		m.rest(s, j)
	}
	return &node.Keep{Exchange: j.id, Size: int64(len(inline))}, nil
}

// admit asks the allow-list.
func (m *Manager) admit(j *job, r *request) *Problem {
	if m.cfg.Upstreams == nil {
		return Problemf(CodeNoUpstream, "this site makes no calls")
	}
	return m.cfg.Upstreams.Admit(j.request(r))
}

func (j *job) request(r *request) *Request {
	return &Request{Exchange: j.id, Peer: j.peer, Upstream: r.Upstream, Method: r.Method, Target: r.Target, Scheme: r.Scheme, Host: r.Host,
		Fields: r.Fields, Trailers: r.Trailers, Client: r.Client, Owner: r.Caller, Length: r.Length, Deadline: j.expires, Attempt: j.try,
		Size: r.size()}
}

// size is that of the body, in bytes.
func (r *request) size() int64 { return max(r.Parts, int64(len(r.inline))) }

// begin starts a complete job, or queues it until its upstream has a slot.
func (m *Manager) begin(s *node.Step, j *job) {
	switch {
	case m.early(s, j):
		j.state = jobEarly
	case m.idle != nil || m.running[j.upstream] >= m.cfg.Upstreams.Slots(j.upstream):
		m.enqueue(j)
	default:
		m.intend(s, j)
		return
	}
	m.rest(s, j)
}

// rest has a job wait: its request is stored, and leaves the memory.
func (m *Manager) rest(s *node.Step, j *job) {
	if !j.stored {
		m.put(s, j, StageArrived)
	}
	j.fresh = nil
}

// intend makes it durable that the callee is about to be called; only then it is called.
func (m *Manager) intend(s *node.Step, j *job) {
	if j.learn(s.Link(j.peer)); j.passed(s.Now) {
		m.turnDown(s, j, overdue())
		return
	}
	if j.try > 0 {
		m.endOffer(s, j.peer, j.id, answerOwner(j.id)) // what an earlier try had to say is void
	}
	m.running[j.upstream]++
	j.state, j.run = jobCalling, &run{called: s.Now}
	j.window.open(j.win)
	j.try++
	m.put(s, j, StageCalling)
	s.Hurry() // the callee is waiting to be called
	m.slow = append(m.slow, slowJob{j, s.Now.Add(tellAfter)})
	m.wantTick(s.Now)
	if planted.Bug == planted.IntentLate {
		j.stop = m.tasks.run(func(ctx context.Context) { m.perform(ctx, j) })
		return
	}
	s.OnCommit(func(s *node.Step) {
		if m.jobs[j.id] != j {
			return
		}
		var p *Problem
		if j.canceled {
			p = canceledAfter(j.try - 1)
		} else if j.passed(s.Now) { // the commit took long
			p = unmade(overdue(), j.sending, j.try-1)
		}
		if p != nil {
			m.concludeNow(s, j, 0, 0, p, func(s *node.Step) { m.refuse(s, j.peer, j.id, j.attempt(), p, j.arrived) })
		} else {
			j.stop = m.tasks.run(func(ctx context.Context) { m.perform(ctx, j) })
		}
	})
}

// overdue is how a job ends whose deadline has passed.
func overdue() *Problem {
	return Problemf(CodeDeadline, "the deadline passed before the call was begun")
}

// put writes the job's row; what changes of it where the request is no longer here.
func (m *Manager) put(s *node.Step, j *job, stage string) {
	r := j.fresh
	if r == nil {
		state := StateRunning
		s.Store().PatchExchange(j.id, store.SideEgress, store.Patch{Stage: &stage, State: &state, Attempt: &j.try, Deadline: &j.expires})
		return
	}
	j.stored = true
	s.Store().PutExchange(store.Exchange{ID: j.id, Side: store.SideEgress, Peer: j.peer, Upstream: r.Upstream, Method: r.Method, Target: r.Target,
		Caller: r.Client, Stage: stage, State: StateRunning, Attempt: j.try, Oep: r.Oep, Created: j.arrived, Deadline: j.expires,
		ReqBytes: r.size()})
}

// onRequestBody takes a part of a request's body; it may come before the request.
func (m *Manager) onRequestBody(s *node.Step, d *node.Delivery, b *bodyData) (*node.Keep, error) {
	j := m.jobs[b.Exchange]
	if j == nil {
		over := m.gone[b.Exchange] != nil // perhaps not durably so yet
		if _, err := m.store.Exchange(context.Background(), b.Exchange, store.SideEgress); over || err == nil || m.cfg.Upstreams == nil || m.ours(b.Exchange) {
			m.dropped.Add(1)
			return nil, nil // finished, canceled, or a call of our own
		}
		if !m.more(s.Now, d.Peer, 0, bodyCost) {
			m.mistake(d.Peer)
			m.dropRequest(s, d.Peer, b.Exchange, m.tooMuch()) // durably: its request would wait for this part
			return nil, nil
		}
		j = &job{id: b.Exchange, peer: d.Peer, arrived: s.Now, held: bodyCost}
		m.jobs[j.id] = j
	}
	if j.peer != d.Peer || j.state != jobBody {
		return nil, nil
	}
	j.parcel().newest = s.Now
	var size int64
	if b.Map != nil {
		var err error
		if size, err = m.takeMap(s, j.peer, j.id, requestOwner(j.id), j.body, b); err != nil {
			return nil, err
		}
	} else {
		plain, err := (&d.Message).Plain()
		if err != nil {
			return nil, err
		}
		if b.Offset < 0 || b.Offset > maxOffset || len(plain) == 0 {
			return nil, errOffset
		}
		if j.body.full(0) {
			return nil, errPieces
		}
		size = int64(len(plain))
		j.body.add(b.Offset, size)
		if !m.more(s.Now, d.Peer, 0, size+partCost) {
			m.crowded(s, j)
			return nil, nil
		}
		j.held += size + partCost
	}
	if j.complete() {
		m.begin(s, j)
	}
	return &node.Keep{Exchange: j.id, Offset: b.Offset, Size: size, Part: true}, nil
}

// slowJob is a job whose stage is told when it takes longer than tellAfter.
type slowJob struct {
	j  *job
	at time.Time
}

// tellSlow tells the other side of calls that take long.
func (m *Manager) tellSlow(s *node.Step) {
	for len(m.slow) > 0 && !s.Now.Before(m.slow[0].at) {
		j := m.slow[0].j
		m.slow = m.slow[1:]
		if m.jobs[j.id] != j || j.run == nil || j.told {
			continue
		}
		j.told = true
		msg, err := encode(frame.KindStage, link.PrioControl, j.id, &stageData{Exchange: j.id, Stage: StageCalling, At: j.called.UnixMilli()}, nil, false)
		if err == nil && s.Link(j.peer).Takes(frame.KindStage) {
			msg.Must = true
			_ = s.Send(j.peer, msg)
		}
	}
	if len(m.slow) == 0 {
		m.slow = nil
	}
}
