package datapipe

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// Request is what a client wants to read.
type Request struct {
	Map    chunk.Map
	Off, N int64  // the range, in bytes of data
	Peer   string // who is asked; "": all, in order
	Owner  string // the client's name, "" if anonymous
	Client string // its address
}

// jobKey finds a job that brings the same to the same client.
type jobKey [32]byte

func (r *Request) key(text []byte) jobKey {
	h := sha256.New()
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(r.Off))
	binary.BigEndian.PutUint64(b[8:], uint64(r.N))
	h.Write(b[:])
	for _, part := range []string{string(text), r.Peer, r.Owner, r.Client} {
		binary.BigEndian.PutUint64(b[:], uint64(len(part)))
		h.Write(b[:8])
		h.Write([]byte(part))
	}
	return jobKey(h.Sum(nil))
}

// job is one fetch that is shown as an exchange and goes on after a restart.
type job struct {
	key     jobKey
	id      exchange.ID
	over    chan struct{} // closed when it has ended
	problem *exchange.Problem
	readers int  // clients that wait for it or read what it brought
	held    bool // what it brought is pinned for them
	size    int64
	done    bool // its bytes do not count any more
	stop    context.CancelFunc
}

// Bring has a range of stored data brought here. With a nil error all of it is here and stays until release is called.
// exchange.ErrWait says that it has not come within wait: it goes on under id. A *exchange.Problem says why it cannot be had.
func (p *Pipe) Bring(ctx context.Context, r *Request, wait time.Duration) (id exchange.ID, release func(), err error) {
	j, err := p.join(ctx, r)
	if err != nil {
		return id, nil, err
	}
	leave := func() { p.leave(j) }
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-j.over:
		if j.problem != nil {
			leave()
			return j.id, nil, j.problem
		}
		return j.id, leave, nil
	case <-timer.C:
		err = exchange.ErrWait
	case <-ctx.Done():
		err = ctx.Err()
	case <-p.ctx.Done():
		err = exchange.ErrWait
	}
	leave()
	return j.id, nil, err
}

// join begins a job, or finds one that brings the same.
func (p *Pipe) join(ctx context.Context, r *Request) (*job, error) {
	if p.o.MaxFetch > 0 && r.N > p.o.MaxFetch {
		return nil, exchange.Problemf(exchange.CodeTooLarge, "%d bytes are more than can be fetched at a time; read at most %d at once (Range, or offset and length), or raise chunks.max_bytes", r.N, p.o.MaxFetch)
	}
	text, err := r.Map.Encode()
	if err != nil {
		return nil, err
	}
	key := r.key(text)
	p.mu.Lock()
	if j := p.jobs[key]; j != nil {
		j.readers++
		p.mu.Unlock()
		return j, nil
	}
	peers, problem := p.asking(r.Peer)
	if problem != nil {
		p.mu.Unlock()
		return nil, problem
	}
	if len(peers) == 0 {
		p.mu.Unlock()
		return nil, exchange.Problemf(exchange.CodeDataMissing, "chunks are missing here, and there is no peer to ask")
	}
	if problem := p.enter(r.N); problem != nil {
		p.mu.Unlock()
		return nil, problem
	}
	now := p.o.Now()
	j := &job{size: r.N, key: key, id: p.o.NewID(now), over: make(chan struct{}), readers: 1}
	p.jobs[key] = j
	p.mu.Unlock()
	if err := p.begin(ctx, j, r, text, peers); err != nil {
		return nil, err
	}
	return j, nil
}

// enter counts data that is to be fetched, or says that there is too much of it. Called with the lock held.
func (p *Pipe) enter(n int64) *exchange.Problem {
	if most := 2 * p.o.MaxFetch; most > 0 && p.busy > 0 && p.busy+n > most {
		return &exchange.Problem{Code: exchange.CodeStorageFull, RetryAfter: 30,
			Detail: fmt.Sprintf("%d bytes are being fetched already, and all together may be %d (chunks.max_bytes)", p.busy, most)}
	}
	p.busy += n
	return nil
}

// exit ends the counting of a job that is over and that nobody reads. Called with the lock held.
func (p *Pipe) exit(j *job) {
	if !j.done {
		j.done = true
		p.busy -= j.size
	}
}

// begin makes a job durable, then starts it.
func (p *Pipe) begin(ctx context.Context, j *job, r *Request, text []byte, peers []identity.ID) error {
	jobCtx, stop := context.WithCancel(p.ctx)
	j.stop = stop
	begun := make(chan *exchange.Problem, 1)
	err := p.loop.Do(func(s *node.Step) {
		if problem := p.Begin(s, &exchange.Local{ID: j.id, Peer: peers[0], Owner: r.Owner, Client: r.Client, Stop: stop,
			Target: fmt.Sprintf("/data/%d-%d", r.Off, r.Off+r.N-1)}); problem != nil {
			begun <- problem
			return
		}
		s.Store().PutFetch(store.Fetch{Exchange: j.id, Map: text, Off: r.Off, Len: r.N, Peers: peers})
		s.OnCommit(func(*node.Step) { begun <- nil })
	})
	var problem *exchange.Problem
	if err == nil {
		select {
		case problem = <-begun:
		case <-p.ctx.Done():
			err = p.ctx.Err()
		}
	}
	if err == nil && problem != nil {
		err = problem
	}
	if err != nil {
		stop()
		p.end(j, exchange.Problemf(exchange.CodeStoreFailed, "it could not be begun"))
		return err
	}
	m, off, n := r.Map, r.Off, r.N
	p.run(func(context.Context) { p.do(jobCtx, j, m, off, n, peers, p.o.GiveUp) })
	return nil
}

// do is the whole of a job.
func (p *Pipe) do(ctx context.Context, j *job, m chunk.Map, off, n int64, peers []identity.ID, giveUp time.Duration) {
	defer j.stop()
	p.counts.fetches.Add(1)
	limited, cancel := context.WithTimeout(ctx, giveUp)
	defer cancel()
	f := p.newFetch(j.id, exchange.KeptBy(j.id), peers)
	err := f.run(limited, m, off, n)
	if p.ctx.Err() != nil {
		return // it goes on at the next start
	}
	problem := p.problem(ctx, err, peers)
	if problem != nil {
		p.o.Chunks.Unpin(exchange.KeptBy(j.id))
	}
	p.finish(j, f, n, problem)
}

// problem says why a fetch failed; nil: it did not.
func (p *Pipe) problem(ctx context.Context, err error, peers []identity.ID) *exchange.Problem {
	var told *exchange.Problem
	switch {
	case err == nil:
		return nil
	case errors.As(err, &told):
		return told
	case errors.Is(err, ErrNobody) && len(peers) == 1:
		return exchange.Problemf(exchange.CodeDataMissing, "chunks are missing here, and site %s does not have them or does not give them to this one", p.name(peers[0]))
	case errors.Is(err, ErrNobody):
		return exchange.Problemf(exchange.CodeDataMissing, "chunks are missing here, and none of %d peers gives them", len(peers))
	case errors.Is(err, chunk.ErrMap), errors.Is(err, chunk.ErrTooLarge):
		return exchange.Problemf(exchange.CodeDataMap, "%v", err)
	case errors.Is(err, chunk.ErrMissing), errors.Is(err, chunk.ErrDamaged):
		return exchange.Problemf(exchange.CodeDataMissing, "what came was evicted again before it could be used; is chunks.max_bytes large enough? %v", err)
	case ctx.Err() != nil:
		return exchange.Problemf(exchange.CodeCanceled, "canceled by who asked for it")
	case errors.Is(err, context.DeadlineExceeded):
		return exchange.Problemf(exchange.CodeDeadline, "the chunks did not come in time")
	}
	p.o.Log.Error().Err(err).Msg("stored data could not be fetched")
	return exchange.Problemf(exchange.CodeInternal, "the data could not be fetched; the site's log says why")
}

// finish makes the end of a job durable. What came stays for those who wait for it; where nobody does, it is kept as an
// answer is.
func (p *Pipe) finish(j *job, f *fetch, n int64, problem *exchange.Problem) {
	done := make(chan struct{})
	err := p.loop.Do(func(s *node.Step) {
		p.mu.Lock()
		j.held = problem == nil && j.readers > 0
		keep := problem == nil && !j.held && (p.o.KeepMost <= 0 || n <= p.o.KeepMost)
		delete(p.jobs, j.key) // who comes now finds the chunks here
		p.mu.Unlock()
		var names []chunk.Name
		if keep {
			names = f.names
		}
		s.Store().DropFetch(j.id)
		p.Finish(s, j.id, names, n, problem)
		s.OnCommit(func(*node.Step) { close(done) })
		if problem == nil && !keep && !j.held {
			p.o.Chunks.Unpin(exchange.KeptBy(j.id))
		}
	})
	if err != nil {
		return
	}
	select {
	case <-done:
		p.end(j, problem)
	case <-p.ctx.Done():
	}
}

// end tells those who wait.
func (p *Pipe) end(j *job, problem *exchange.Problem) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.jobs[j.key] == j {
		delete(p.jobs, j.key)
	}
	j.problem = problem
	if !j.held {
		p.exit(j)
	}
	close(j.over)
}

// leave notes that a client waits or reads no more.
func (p *Pipe) leave(j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if j.readers--; j.readers == 0 && j.held {
		j.held = false
		p.exit(j)
		p.o.Chunks.Unpin(exchange.KeptBy(j.id))
	}
}

// recoverJobs goes on with what an earlier run had begun.
func (p *Pipe) recoverJobs(ctx context.Context, s *node.Step) error {
	rows, err := p.o.Store.Fetches(ctx)
	if err != nil {
		return err
	}
	known := map[exchange.ID]bool{}
	for _, row := range rows {
		known[row.Exchange] = p.recoverJob(s, row)
	}
	for _, id := range p.Locals() {
		if !known[id] {
			p.Finish(s, id, nil, 0, exchange.Problemf(exchange.CodeInternal, "what was to be fetched is no longer stored"))
		}
	}
	return nil
}

// recoverJob goes on with one; false: there is nothing to go on with.
func (p *Pipe) recoverJob(s *node.Step, row store.Fetch) bool {
	id := exchange.ID(row.Exchange)
	m, err := chunk.ParseMap(row.Map)
	var peers []identity.ID
	for _, x := range p.o.Peers { // those that are still there
		for _, was := range row.Peers {
			if was == x.ID {
				peers = append(peers, x.ID)
			}
		}
	}
	jobCtx, stop := context.WithCancel(p.ctx)
	if err != nil || !p.Resume(id, stop) {
		stop()
		s.Store().DropFetch(row.Exchange)
		return false
	}
	j := &job{size: row.Len, id: id, over: make(chan struct{}), stop: stop, key: jobKey(sha256.Sum256(row.Exchange[:]))}
	p.mu.Lock()
	p.busy += j.size
	p.mu.Unlock()
	left := p.o.GiveUp - max(p.o.Now().Sub(exchange.IDTime(id)), 0)
	p.run(func(context.Context) { p.do(jobCtx, j, m, row.Off, row.Len, peers, max(left, time.Minute)) })
	return true
}
