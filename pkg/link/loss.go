package link

import (
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/planted"
)

// rtt estimates the round trip by file (RFC 9002 section 5): from writing a file to hearing that it
// was handled, less the delay that the peer reports.
type rtt struct {
	smoothed, variation, latest time.Duration
	measured                    bool
}

func newRTT(initial, srtt, rttvar time.Duration) rtt {
	if srtt > 0 {
		return rtt{smoothed: srtt, variation: rttvar, latest: srtt, measured: true}
	}
	return rtt{smoothed: initial, variation: initial / 2, latest: initial}
}

// sample takes one measured round trip (RFC 9002 section 5.3).
func (r *rtt) sample(d time.Duration) {
	d = max(d, time.Microsecond)
	r.latest = d
	if !r.measured {
		r.smoothed, r.variation, r.measured = d, d/2, true
		return
	}
	r.variation += ((r.smoothed - d).Abs() - r.variation) / 4
	r.smoothed += (d - r.smoothed) / 8
}

// timeout is the probe timeout without back-off (RFC 9002 section 6.2.1).
func (r *rtt) timeout(ackDelay time.Duration) time.Duration {
	if planted.Bug == planted.ResendEarly {
		return timerGranularity
	}
	return r.smoothed + max(4*r.variation, timerGranularity) + ackDelay
}

const (
	// timerGranularity is the least slack of a timer: a busy machine is late by that much.
	timerGranularity = 20 * time.Millisecond
	// packetThreshold is how many later files must have been seen before an unseen one is lost (RFC 9002 section 6.1.1).
	packetThreshold    = 3
	packetThresholdMax = 64
	// probeBytes bounds what a timeout has written again, beyond the oldest file: the smallest size that is taken for safe.
	probeBytes = 256 << 10
	// maxJitter is by how much a back-off may be longer than its doubled timeout.
	maxJitter = 0.25
	// maxBackoff caps the probe timeout together with four round trips.
	maxBackoff = time.Hour
)

// loss is what loss detection keeps between events.
type loss struct {
	threshold     int     // later files seen
	factor        float64 // of the round trip, time threshold (RFC 9002 section 6.1.2)
	backoff       int
	jitter        float64 // 0 to maxJitter of the present back-off: sites that failed together do not probe together
	lastEliciting time.Time
	topSeen       uint64
	written       [128]writtenAt // newest writes, for round trips of files that are gone already
	next          int
	lost          [64]uint64 // newest lost files, to notice spurious losses
	nextLost      int
}

// writtenAt is what is kept of a file after its content has gone elsewhere.
type writtenAt struct {
	seq  uint64
	at   time.Time
	told told
	asks bool // an ack is due for it
	seen bool // reported as such
	cut  bool // likewise
}

func newLoss() loss { return loss{threshold: packetThreshold, factor: 9.0 / 8} }

func (s *loss) wrote(seq uint64, at time.Time, t told, asks bool) {
	s.written[s.next] = writtenAt{seq: seq, at: at, told: t, asks: asks}
	s.next = (s.next + 1) % len(s.written)
}

// asked gives when a file was written for which the peer owes an ack. Others are no measure: the peer takes its time.
func (s *loss) asked(seq uint64) (time.Time, bool) {
	for _, w := range s.written {
		if w.seq == seq {
			return w.at, w.asks
		}
	}
	return time.Time{}, false
}

func (s *loss) progress() { s.backoff = 0 }

// heard notes a new file with messages of the peer. It ends the back-off, which is for a pipe or a peer that stands still
// (where RFC 9002 section 6.2.1 waits for an ack): with a third of the files lost, four acks in a row are lost often.
// Ack-only frames do not count, so a pipe that works one way only is not filled from the other.
func (s *loss) heard() { s.backoff = 0 }

// feedback applies what the peer says about our files.
func (l *Link) feedback(now time.Time, x *frame.Rx) {
	if x.Top > l.loss.topSeen {
		if at, ok := l.loss.asked(x.Top); ok {
			l.rtt.sample(now.Sub(at) - time.Duration(x.Dly)*time.Millisecond)
		}
		l.loss.topSeen = x.Top
		l.loss.backoff = 0 // something arrived: the pipe works
	}
	l.noteSpurious(x.Seen)
	l.hello.seen = l.hello.seen || overlap(l.hello.files, x.Seen)
	l.overtook(now, x.Top)
	l.noteTold(x.Seen)
	l.noteLay(x.Seen)
	l.notePassed(x.Seen)
	later := 0
	for i := len(l.files) - 1; i >= 0; i-- {
		f := l.files[i]
		f.later += later
		if !f.seen && x.Seen.Contains(f.seq) {
			f.seen = true
			if f.size <= l.size.floor {
				l.size.count(f.size, false)
			}
			later++
		}
	}
	l.size.heard(now, x.Seen, x.Cut)
	for i := 0; i < len(l.files); {
		if f := l.files[i]; f.seen && f.pending == 0 {
			l.dropFile(f, true)
			continue
		}
		i++
	}
	for _, c := range x.Cut {
		for i := range l.loss.written {
			if w := &l.loss.written[i]; w.seq == c[0] && !w.cut {
				w.cut = true
				l.stats.FilesCut++
			}
		}
		for _, f := range l.files {
			if f.seq == c[0] && !f.cut && !f.seen && int64(c[1]) < f.size {
				f.cut = true
				if !f.lost {
					l.requeue(f)
				}
			}
		}
	}
}

// overlap says whether two lists of ranges have a number in common.
func overlap(a, b frame.Ranges) bool {
	for _, x := range a {
		for _, y := range b {
			if x[0] <= y[1] && y[0] <= x[1] {
				return true
			}
		}
	}
	return false
}

// noteSpurious widens the thresholds when a file that was given up is seen after all.
func (l *Link) noteSpurious(seen frame.Ranges) {
	for i, seq := range l.loss.lost {
		if seq == 0 || !seen.Contains(seq) {
			continue
		}
		l.loss.lost[i] = 0
		l.stats.Spurious++
		l.loss.threshold = min(l.loss.threshold*2, packetThresholdMax)
		l.loss.factor = min(l.loss.factor*1.5, 8)
	}
}

// detectLost declares files lost by number and by time (RFC 9002 section 6.1), and probes on timeout.
func (l *Link) detectLost(now time.Time) {
	limit := l.lossDelay()
	for _, f := range l.files {
		if f.lost || f.seen || f.pending == 0 || f.later == 0 {
			continue
		}
		if f.later >= l.loss.threshold || !now.Before(f.since().Add(limit)) {
			if l.waits(f) && f.later < passedOver {
				l.missed(now, f)
				continue
			}
			l.giveUp(now, f)
		}
	}
	if at := l.lookAt(); !at.IsZero() && !now.Before(at) {
		l.wantLook(now)
	}
	if at, f := l.probeAt(); f != nil && !now.Before(at) {
		l.stats.Timeouts++
		l.loss.backoff++
		l.loss.jitter = maxJitter * l.cfg.Rand.Float64()
		l.loss.lastEliciting = now
		l.requeueOverdue(now)
	}
}

// giveUp declares a file lost.
func (l *Link) giveUp(now time.Time, f *file) {
	l.stats.FilesLost++
	l.size.vanished(now, f.seq, f.size)
	l.loss.lost[l.loss.nextLost] = f.seq
	l.loss.nextLost = (l.loss.nextLost + 1) % len(l.loss.lost)
	l.requeue(f)
}

// requeueOverdue has everything written again that is out for longer than a timeout, oldest first, as far as it fits a
// file of a safe size: one file that gets through then ends the wait of all of it, where one file after the other would
// wait for a doubled timeout each.
func (l *Link) requeueOverdue(now time.Time) {
	overdue := l.rtt.timeout(l.cfg.AckDelay)
	var size int64
	for _, f := range l.files {
		if f.lost || f.pending == 0 || l.waits(f) {
			continue
		}
		if size += f.size; size > f.size && (size > probeBytes || now.Before(f.since().Add(overdue))) {
			return
		}
		l.size.vanished(now, f.seq, f.size)
		l.requeue(f)
	}
}

// lossDelay is the time threshold (RFC 9002 section 6.1.2).
func (l *Link) lossDelay() time.Duration {
	d := max(l.rtt.smoothed, l.rtt.latest) + l.cfg.AckDelay
	return max(time.Duration(l.loss.factor*float64(d)), timerGranularity)
}

// requeue has the content of a file written again.
func (l *Link) requeue(f *file) {
	f.lost = true
	for id := range f.ids.All() {
		if x := l.items[id]; x != nil && x.file == f {
			l.enqueue(x)
		}
	}
}

// probeAt gives the time when the oldest file in transit is written again although nothing says it is lost.
func (l *Link) probeAt() (time.Time, *file) {
	if l.st.PeerEpoch == 0 {
		return time.Time{}, nil
	}
	for _, f := range l.files {
		if f.lost || f.pending == 0 || l.waits(f) {
			continue
		}
		from := f.since()
		if l.loss.lastEliciting.After(from) {
			from = l.loss.lastEliciting
		}
		d := l.rtt.timeout(l.cfg.AckDelay)
		capAt := max(maxBackoff, 4*l.rtt.smoothed)
		if f.answers {
			d *= 2
		}
		for i := 1; i < l.loss.backoff && d < capAt; i++ { // the first repeat may be lost as its file was
			d *= 2
		}
		if l.loss.backoff > 0 {
			d += time.Duration(l.loss.jitter * float64(d))
		}
		d = min(d, capAt)
		return from.Add(d), f
	}
	return time.Time{}, nil
}

// lookAt gives the time when the outbox is to be looked at for the sake of the file that should have gone first. Zero:
// none waits.
func (l *Link) lookAt() (at time.Time) {
	if l.st.PeerEpoch == 0 || !l.taken.takes {
		return at
	}
	for _, f := range l.files {
		if f.lost || f.pending == 0 || !l.waits(f) {
			continue
		}
		if t := l.lookFor(f); at.IsZero() || t.Before(at) {
			at = t
		}
	}
	return at
}

// Deadline is when Tick must be called at the latest; zero: only events matter.
func (l *Link) Deadline(now time.Time) time.Time {
	var at time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if l.writing == nil && l.stopped != "" {
		if l.halt.until.IsZero() {
			return at
		}
		return l.halt.due(now)
	}
	if l.writing != nil || l.nextSeq >= l.reserved {
		return at // the end of the write, or of the commit that reserves file numbers, comes first
	}
	if !l.retryAt.IsZero() && now.Before(l.retryAt) {
		return l.retryAt
	}
	if l.greeting() {
		sooner(l.hello.due)
	}
	if l.st.PeerEpoch == 0 {
		return at
	}
	if now.Before(l.fullAt) {
		sooner(l.fullAt)
	}
	sooner(l.ackDue)
	if l.answerDue {
		sooner(l.answers.at.Add(max(l.rtt.smoothed, l.cfg.AckDelay)))
	}
	if t, f := l.probeAt(); f != nil {
		sooner(t)
	}
	sooner(l.lookDeadline())
	limit := l.lossDelay()
	for _, f := range l.files {
		if !f.lost && !f.seen && f.pending > 0 && f.later > 0 && !l.waits(f) {
			sooner(f.since().Add(limit))
		}
	}
	sooner(l.lastWrite.Add(l.cfg.Heartbeat))
	return at
}

// Tick lets time pass: losses are noticed; Next then has what is to be written.
func (l *Link) Tick(now time.Time) {
	l.goOn(now)
	l.detectLost(now)
}
