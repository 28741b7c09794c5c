package link

import "time"

// transit is how long frames of the peer were under way, by two clocks that may differ by anything: from when a line was
// sealed, by the peer's, to when it was read, by ours. Only differences between such times mean something: what took
// longer than the quickest lay in the pipe for at least that much. The quickest of two spans of time is kept, so that clocks
// that drift, or are set, are believed for a while only.
type transit struct {
	now, before span
}

type span struct {
	least time.Duration
	lines int
	began time.Time
}

const (
	transitSpan  = 6 * time.Hour // at least so long, and
	transitLines = 16            // of so many lines
)

// note takes in a line.
func (t *transit) note(now, sealed time.Time) {
	took := now.Round(0).Sub(sealed) // by the wall clock, as it will be compared
	s := &t.now
	if s.lines >= transitLines && now.Sub(s.began) >= transitSpan {
		t.before, *s = *s, span{}
	}
	if s.lines == 0 {
		s.least, s.began = took, now
	}
	s.least = min(s.least, took)
	s.lines++
}

// quickest gives the quickest line; known is false before the first.
func (t *transit) quickest() (took time.Duration, known bool) {
	if t.before.lines > 0 {
		return min(t.now.least, t.before.least), true
	}
	return t.now.least, t.now.lines > 0
}

// Quickest is how long the quickest line of the peer's was under way in this run: from when it was sealed, by the peer's
// clock, in whole seconds, to when it was read, by ours. It may be negative. known is false before the first.
func (l *Link) Quickest() (took time.Duration, known bool) { return l.transit.quickest() }
