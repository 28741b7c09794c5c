package sim

import (
	"testing"
	"time"
)

// What stamp makes behaves as the times of a process whose clock was set.
func TestStamp(t *testing.T) {
	a := stamp(began, 5*time.Second)
	b := stamp(began.Add(-24*time.Hour), 7*time.Second) // two seconds later the clock was set back by a day
	switch {
	case !a.Equal(a.Round(0)) || !a.Round(0).Equal(began):
		t.Errorf("wall clock %v, want %v", a, began)
	case b.Sub(a) != 2*time.Second || !b.After(a):
		t.Errorf("%v passed, want 2s", b.Sub(a))
	case b.Unix() != began.Unix()-86400 || b.UnixMilli() != began.UnixMilli()-86400_000:
		t.Errorf("unix time %d, want a day before %d", b.Unix(), began.Unix())
	case b.Round(0).Sub(a.Round(0)) != -24*time.Hour:
		t.Errorf("%v by the wall clock, want -24h", b.Round(0).Sub(a.Round(0)))
	case !a.Add(time.Hour).Round(0).Equal(began.Add(time.Hour)) || a.Add(time.Hour).Sub(a) != time.Hour:
		t.Error("an hour added is no hour")
	}
}
