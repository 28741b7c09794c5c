package bulk

import "time"

// pace estimates how long packs take: what a small file takes, and the rest by size.
type pace struct {
	rate    float64     // bytes per second
	known   bool        // rate was measured
	factor  float64     // of patience; grows with packs that were given up too early
	settled []time.Time // when the newest settled packs were written
}

const (
	firstRate    = 4 << 20
	leastRate    = 16 << 10
	maxFactor    = 64
	keptSettled  = 8
	maxProbeWait = time.Hour
	// sizeForRate is from which size a pack tells something of the rate.
	sizeForRate = 256 << 10
)

func newPace() pace { return pace{rate: firstRate, factor: 1} }

// sample takes one pack: when it was written and how long it took until its answer came.
func (c *pace) sample(written time.Time, took, base time.Duration, size int64) {
	c.settled = append(c.settled, written)
	if len(c.settled) > keptSettled {
		c.settled = c.settled[1:]
	}
	if size < sizeForRate {
		return
	}
	rate := float64(size) / max(took-base/2, time.Millisecond).Seconds()
	if c.known {
		rate = c.rate + (rate-c.rate)/4
	}
	c.rate, c.known = max(rate, leastRate), true
}

func (c *pace) spurious() { c.factor = min(2*c.factor, maxFactor) }

func (c *pace) expected(base time.Duration, size int64) time.Duration {
	return base + time.Duration(float64(size)/c.rate*float64(time.Second))
}

// probeAfter is how long after the n-th probe the next is due.
func (c *pace) probeAfter(base time.Duration, size int64, n int) time.Duration {
	d := c.expected(base, size)
	d += d / 2
	for range n {
		if d *= 2; d >= maxProbeWait {
			break
		}
	}
	return min(d, max(maxProbeWait, 4*base))
}

// lostAfter is how old an unseen pack must be to be given up without other evidence.
func (c *pace) lostAfter(base time.Duration, size int64) time.Duration {
	return time.Duration(2 * c.factor * float64(c.expected(base, size)))
}
