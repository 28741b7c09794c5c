package bulk

import "time"

// pace estimates how long packs take: what a small file takes, and the rest by size.
type pace struct {
	rate    float64     // bytes per second
	known   bool        // rate was measured
	through float64     // bytes per second that all packs together were answered at
	last    time.Time   // when a pack was answered last
	factor  float64     // of patience; grows with packs that were given up too early
	vain    int         // packs given up by time alone since the last answer: each may have been on its way
	settled []time.Time // when the newest settled packs were written
}

const (
	firstRate    = 4 << 20
	leastRate    = 64 << 10
	maxFactor    = 64
	keptSettled  = 8
	maxVain      = 8
	maxProbeWait = time.Hour
	firstProbe   = 2 * time.Second
	leastProbe   = 500 * time.Millisecond // nothing new is written while a question is open
	// sizeForRate is from which size a pack tells something of the rate.
	sizeForRate = 256 << 10
)

func newPace() pace { return pace{rate: firstRate, factor: 1} }

// sample takes one pack: when it was written and how long it took until its answer came.
func (c *pace) sample(written time.Time, took, base time.Duration, size int64) {
	c.passed(written, written.Add(took), size)
	c.vain = 0
	c.settled = append(c.settled, written)
	if len(c.settled) > keptSettled {
		c.settled = c.settled[1:]
	}
	if size < sizeForRate {
		return
	}
	rate := float64(size) / max(took-base/2, time.Millisecond).Seconds()
	if c.known {
		weight := 4.0 // a pipe that stood still for once is not slow
		if rate > c.rate {
			weight = 2
		}
		rate = c.rate + (rate-c.rate)/weight
	}
	c.rate, c.known = max(rate, leastRate), true
}

// passed estimates how fast packs get through, one behind the other.
func (c *pace) passed(written, now time.Time, size int64) {
	from := written
	if c.last.After(from) {
		from = c.last
	}
	c.last = now
	rate := float64(size) / max(now.Sub(from), time.Millisecond).Seconds()
	if c.through > 0 {
		rate = c.through + (rate-c.through)/8
	}
	c.through = rate
}

func (c *pace) spurious() { c.factor = min(2*c.factor, maxFactor) }

func (c *pace) expected(base time.Duration, size int64) time.Duration {
	return base + time.Duration(float64(size)/c.rate*float64(time.Second))
}

// probeAfter is how long after the n-th probe the next is due. Asking costs a small message, so the first question
// does not wait for what a slow pipe may take.
func (c *pace) probeAfter(base time.Duration, size int64, n int) time.Duration {
	d := c.expected(base, size)
	d = max(min(d+d/2, 2*base+firstProbe), leastProbe)
	for range n {
		if d *= 2; d >= maxProbeWait {
			break
		}
	}
	return min(d, max(maxProbeWait, 4*base))
}

// lostAfter is how old an unseen pack must be to be given up without other evidence.
func (c *pace) lostAfter(base time.Duration, size int64) time.Duration {
	return time.Duration(2*c.factor*float64(c.expected(base, size))) << min(c.vain, maxVain)
}
