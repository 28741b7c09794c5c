package demo

import (
	"testing"
	"time"
)

func TestTallyAndGood(t *testing.T) {
	var ta tally
	ta.totals.Calls = 4
	q := NewQuestion(1, 7)
	end := func(e CallEvent) {
		e.Question, e.Ended = q, true
		ta.add(&e)
	}
	end(CallEvent{Took: 3 * time.Millisecond, Bytes: 10})
	end(CallEvent{Took: 1 * time.Millisecond, Bytes: 5, Fault: "other bytes"})
	end(CallEvent{Took: 9 * time.Hour, Fault: "no answer", Lost: true})
	s := ta.totals
	if s.Ended != 3 || s.Right != 1 || s.Wrong != 1 || s.Lost != 1 || len(s.Problems) != 2 {
		t.Fatalf("%+v", s)
	}
	if s.Bodies.Answers != 15 || s.Bodies.Requests != 3*int64(len(q.body)) {
		t.Errorf("%+v", s.Bodies)
	}
	if r := roundTrips(ta.trips); r.Max != 3 || r.P50 != 3 {
		t.Errorf("round trips %+v: an answer that never came has no time", r)
	}
	for range 50 {
		end(CallEvent{Fault: "x"})
	}
	if n := len(ta.totals.Problems); n != keptProblems {
		t.Errorf("%d problems are kept", n)
	}
	for _, c := range []struct {
		t    Totals
		good bool
	}{
		{Totals{Calls: 2, Ended: 2, Right: 2}, true},
		{Totals{}, true},
		{Totals{Calls: 2, Ended: 1, Right: 1}, false},
		{Totals{Calls: 2, Ended: 2, Right: 1, Wrong: 1}, false},
		{Totals{Calls: 2, Ended: 2, Right: 1, Lost: 1}, false},
		{Totals{Calls: 2, Ended: 2, Right: 2, ExecutedTwice: 1}, false},
	} {
		if c.t.Good() != c.good {
			t.Errorf("%+v: good is %v", c.t, c.t.Good())
		}
	}
}

func TestRoundTrips(t *testing.T) {
	var d []time.Duration
	for i := range 100 {
		d = append(d, time.Duration(100-i)*time.Millisecond) // 1 to 100, unsorted
	}
	want := RoundTrips{P50: 51, P95: 96, P99: 100, Max: 100}
	if got := roundTrips(d); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if d[0] != 100*time.Millisecond {
		t.Error("the caller's slice was sorted")
	}
	if got := roundTrips(nil); got != (RoundTrips{}) {
		t.Errorf("%+v of nothing", got)
	}
}
