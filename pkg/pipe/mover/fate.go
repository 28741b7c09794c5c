package mover

import (
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// Fate is what happens to one file on its way.
type Fate struct {
	Lost    bool
	Cut     int64         // bytes that come; -1: all
	Delay   time.Duration // from the first sight of the file to its delivery
	Late    bool          // Delay was lengthened so that later files overtake this one
	Repeat  time.Duration // from the delivery to a second one; 0: none
	Partial time.Duration // how long the first half is shown before the rest comes; 0: it comes whole
	Split   int64         // bytes of that first half
}

// Fate decides over a file. It depends on nothing but the seed, the path (or its alias), the size and how often the
// path was met before, so neither timing nor the order of a listing changes what happens to which file.
func (c *Config) Fate(path string, size int64, nth int) Fate {
	r := c.dice(path, nth)
	// Every die is thrown whatever the others show, so that changing one probability leaves the rest as it was.
	lost, cut, late, repeat, partial := r.Float64(), r.Float64(), r.Float64(), r.Float64(), r.Float64()
	at, spread, extra, split := r.Float64(), r.Float64(), r.Float64(), r.Float64()

	f := Fate{Lost: lost < c.Drop, Cut: -1, Delay: c.DelayMin + share(spread, c.DelayMax-c.DelayMin)}
	came := size
	if cut < c.Truncate && size > 0 {
		f.Cut = int64(at * float64(size))
		came = f.Cut
	}
	if c.MaxSize > 0 && came > c.MaxSize {
		f.Cut = c.MaxSize
		came = c.MaxSize
	}
	if late < c.Reorder {
		f.Late = true
		f.Delay += c.Pause + share(extra, 4*max(c.DelayMax, c.Period, c.Pause))
	}
	if repeat < c.Duplicate {
		f.Repeat = c.Pause + share(extra, max(c.DelayMax, c.Period, c.Pause))
	}
	if partial < c.Partial && came > 1 {
		f.Partial = c.Pause + share(split, c.Pause)
		f.Split = 1 + int64(split*float64(came-1))
	}
	return f
}

// back decides whether a file that was deleted is brought back, for the nth time.
func (c *Config) back(path string, nth int) bool {
	return c.Kind == Resurrect && nth < maxBack && c.dice(path, -1-nth).Float64() < c.BringBack
}

// maxBack bounds how often one file comes back.
const maxBack = 3

func (c *Config) dice(path string, nth int) *rand.Rand {
	if c.Alias != nil {
		path = c.Alias(path)
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(path))
	return rand.New(rand.NewPCG(c.Seed, h.Sum64()+uint64(nth)*0x9e3779b97f4a7c15))
}

func share(of float64, d time.Duration) time.Duration { return time.Duration(of * float64(max(d, 0))) }
