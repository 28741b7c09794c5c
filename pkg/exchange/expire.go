package exchange

import (
	"context"
	"slices"
	"time"

	"github.com/hoft/hoft/pkg/bulk"
	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// Caps is what this version takes, said in hello; chunks: packs too.
func Caps(chunks bool) []string {
	kinds := []frame.Kind{frame.KindReq, frame.KindRes, frame.KindBody, frame.KindAbort, frame.KindCancel, frame.KindStage, frame.KindWin}
	if chunks {
		kinds = append(kinds, frame.KindPack, frame.KindHave, frame.KindProbe, frame.KindWant, frame.KindGone, frame.KindFetch)
	}
	var caps []string
	for _, k := range kinds {
		caps = append(caps, string(k))
	}
	return append(caps, string(frame.EncZstd))
}

const (
	// expireEvery is the pause between looks at what is old.
	expireEvery = time.Minute
	// expireBatch bounds one step of expiry, so that calls are not held up.
	expireBatch = 50
	// expectedHeads is more than the heads of a request and its answer usually take, in bytes.
	expectedHeads = 4 << 10
)

// Expire deletes results after their time, or when they take too much room, and forgets executed ids
// after Config.Remember. It works until ctx ends.
func (m *Manager) Expire(ctx context.Context) {
	t := time.NewTicker(expireEvery)
	defer t.Stop()
	for {
		if err := m.expire(ctx, m.cfg.Now()); err != nil && ctx.Err() == nil {
			m.cfg.Log.Error().Err(err).Msg("cannot delete old exchanges")
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// expire does one look.
func (m *Manager) expire(ctx context.Context, now time.Time) error {
	deleted := false
	for {
		keys, err := m.outlived(ctx, now)
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			break
		}
		deleted = true
		if err := m.commit(ctx, func(s *node.Step) error {
			for _, k := range m.unread(keys) { // else somebody has just begun to read it
				m.expireContent(s, k.ID)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	if err := m.commit(ctx, func(s *node.Step) error {
		m.sweepJobs(s, now)
		m.sweepAnnounced(s, now)
		s.Store().PruneKeys(now.Add(-KeepKeys))
		return nil
	}); err != nil {
		return err
	}
	for more := true; more; {
		if err := m.commit(ctx, func(s *node.Step) error { more = m.endQueued(s); return nil }); err != nil {
			return err
		}
	}
	if err := m.purge(ctx, now); err != nil {
		return err
	}
	m.scrub = m.scrub || deleted
	if m.scrub && m.cfg.Scrub != nil {
		if err := m.cfg.Scrub(ctx); err != nil {
			return err // again at the next look
		}
		m.scrub = false
	}
	return nil
}

// expireContent deletes what is stored for an exchange that has ended. Its chunks may be evicted then.
func (m *Manager) expireContent(s *node.Step, id ID) {
	s.Store().ExpireExchange(id)
	if m.cfg.Chunks != nil {
		s.Store().Chunks(chunk.Change{Now: s.Now, Unpin: []chunk.Owner{answerOwner(id)}})
	}
}

// transientFor is how long a caller may take to read an answer that is not kept. When it has read it, it goes at once;
// this is for what a stop of the site left.
const transientFor = 10 * time.Minute

// outlived gives exchanges whose content is to be deleted. What somebody reads waits for a later look.
func (m *Manager) outlived(ctx context.Context, now time.Time) ([]store.ExchangeKey, error) {
	keys, err := m.store.ResultsBefore(ctx, now.Add(-m.cfg.TTL), expireBatch)
	keys = m.unread(keys)
	if err == nil && len(keys) == 0 {
		keys, err = m.store.TransientBefore(ctx, now.Add(-transientFor), expireBatch)
		keys = m.unread(keys)
	}
	if err == nil && len(keys) == 0 && m.cfg.MaxBytes > 0 {
		keys, err = m.overSize(ctx, now)
	}
	return keys, err
}

// unread leaves out what somebody reads.
func (m *Manager) unread(keys []store.ExchangeKey) []store.ExchangeKey {
	return slices.DeleteFunc(keys, func(k store.ExchangeKey) bool { return m.reading.holds(k.ID) })
}

// sweepJobs ends jobs whose rest never came: the other side lost its state, or gave up and its word was lost with it. A body may
// take longer than that, as long as something of it comes.
func (m *Manager) sweepJobs(s *node.Step, now time.Time) {
	stands := func(j *job) bool {
		at := j.arrived
		if j.body != nil {
			at = later(at, j.body.newest)
		}
		return j.state == jobBody && now.Sub(at) >= m.cfg.Remember
	}
	for _, j := range m.jobsWhere(stands) {
		if !j.came {
			m.dropParts(s, j)
			continue
		}
		m.turnDown(s, j, Problemf(CodeDeadline, "parts of the request's body never came"))
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// sweepAnnounced forgets what peers announced long ago for exchanges of which nothing else came.
func (m *Manager) sweepAnnounced(s *node.Step, now time.Time) {
	before := now.Add(-max(m.cfg.Remember, m.cfg.TTL))
	m.forgetAnnounced(s, func(b *bulk.Peer) []ID { return b.AnnouncedBefore(before) })
}

// dropParts forgets what came of a request.
func (m *Manager) dropParts(s *node.Step, j *job) {
	delete(m.jobs, j.id)
	m.dropBody(s, j.peer, j.id, requestOwner(j.id), j.parcel())
	s.Store().DropInboxExchange(j.id, -1)
}

// overSize gives the oldest results, at least one and not more than must go, when all of them take more than Config.MaxBytes.
// What each takes is guessed, rather too high; if that leaves too much it is asked again. What is being read goes when it has
// been read, and counts until then, but nothing else goes in its place.
func (m *Manager) overSize(ctx context.Context, now time.Time) ([]store.ExchangeKey, error) {
	over, err := m.store.ResultBytes(ctx)
	if over -= m.cfg.MaxBytes; err != nil || over <= 0 {
		return nil, err
	}
	for _, id := range m.reading.held() {
		if e, err := m.store.Exchange(ctx, id, store.SideIngress); err == nil && !e.Ended.IsZero() && !e.Expired {
			over -= e.ReqBytes + e.ResBytes
		}
	}
	if over <= 0 {
		return nil, nil
	}
	keys, err := m.store.ResultsBefore(ctx, now.Add(time.Hour), expireBatch)
	if err != nil {
		return nil, err
	}
	keys = m.unread(keys)
	for i, k := range keys {
		e, err := m.store.Exchange(ctx, k.ID, k.Side)
		if err != nil {
			return nil, err
		}
		if over -= 2*(e.ReqBytes+e.ResBytes) + expectedHeads; over <= 0 {
			return keys[:i+1], nil
		}
	}
	return keys, nil
}

// purge forgets exchanges: a week after their end (Remember), and at least as long as results are kept.
func (m *Manager) purge(ctx context.Context, now time.Time) error {
	keep := max(m.cfg.Remember, 2*m.cfg.TTL)
	for {
		keys, err := m.store.EndedBefore(ctx, now.Add(-keep), expireBatch)
		if err != nil || len(keys) == 0 {
			return err
		}
		ahead, err := m.newestAhead(ctx, keys)
		if err != nil {
			return err
		}
		if err := m.commit(ctx, func(s *node.Step) error {
			for _, k := range keys {
				if k.Side == store.SideEgress && m.jobs[k.ID] != nil {
					continue // it has just been asked for again
				}
				s.Store().PurgeExchange(k.ID)
				m.purged(s, k)
			}
			m.raiseHorizon(s, keys, ahead)
			return nil
		}); err != nil {
			return err
		}
	}
}
