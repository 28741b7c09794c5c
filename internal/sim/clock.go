package sim

import (
	"time"
	"unsafe"
)

// began is the true time at which every world begins.
var began = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// stamp gives a time as time.Now gives it on a machine whose wall clock says wall and whose monotonic clock mono.
//
// In a process that runs, a wall clock that is set leaves differences of times alone, because Go takes them from the
// monotonic clock; in a bubble of testing/synctest there is none. What a site makes of jumps of its clock depends on
// that, so it is put in by hand, in the layout of package time (unchanged since Go 1.9; TestStamp would notice).
func stamp(wall time.Time, mono time.Duration) time.Time {
	const hasMonotonic, year1885 = 1 << 63, -2682288000 // unix seconds
	t := time.Time{}
	x := (*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t))
	x.wall = hasMonotonic | uint64(wall.Unix()-year1885)<<30 | uint64(wall.Nanosecond())
	x.ext = int64(mono)
	return t
}

// clock is the wall clock of a machine.
type clock struct {
	off time.Duration // from the truth
	set int           // how often it was set meanwhile
}

// wall gives what the clock shows.
func (c *clock) wall(w *World) time.Time { return began.Add(w.now() + c.off) }

// now is what time.Now gives to a process; it is safe for concurrent use while the world rests.
func (p *proc) now() time.Time {
	return stamp(p.site.clock.wall(p.w), p.w.now()-p.born+time.Second)
}
