package frame

import (
	"slices"
	"sort"
)

// Range is a closed interval of numbers, Lo <= Hi.
type Range [2]uint64

// Ranges is a set of numbers as sorted, disjoint, non-adjoining closed intervals.
// The zero value is the empty set. Its cost is its number of intervals, never the distance they span.
type Ranges []Range

// Valid says whether the intervals are sorted, disjoint and non-adjoining.
func (r Ranges) Valid() bool {
	for i, x := range r {
		if x[0] > x[1] {
			return false
		}
		if i > 0 && (r[i-1][1] == ^uint64(0) || x[0] <= r[i-1][1]+1) {
			return false
		}
	}
	return true
}

// find returns the index of the first interval whose end is not below n.
func (r Ranges) find(n uint64) int {
	if k := len(r); k > 0 && r[k-1][0] <= n { // the usual case: at the end
		if r[k-1][1] < n {
			return k
		}
		return k - 1
	}
	return sort.Search(len(r), func(i int) bool { return r[i][1] >= n })
}

// Contains says whether n is in the set.
func (r Ranges) Contains(n uint64) bool {
	return r.Index(n) >= 0
}

// Index gives the place of the interval that holds n, -1 if none does.
func (r Ranges) Index(n uint64) int {
	if i := r.find(n); i < len(r) && r[i][0] <= n {
		return i
	}
	return -1
}

// Add puts the closed interval lo..hi into the set; a reversed interval adds nothing.
func (r *Ranges) Add(lo, hi uint64) {
	if lo > hi {
		return
	}
	s := *r
	from := lo
	if from > 0 {
		from--
	}
	i := s.find(from)
	j := i
	for j < len(s) && (hi == ^uint64(0) || s[j][0] <= hi+1) {
		lo, hi = min(lo, s[j][0]), max(hi, s[j][1])
		j++
	}
	if i < j {
		s[i] = Range{lo, hi}
		*r = slices.Delete(s, i+1, j)
		return
	}
	*r = slices.Insert(s, i, Range{lo, hi})
}

// Remove takes the closed interval lo..hi out of the set.
func (r *Ranges) Remove(lo, hi uint64) {
	if lo > hi {
		return
	}
	s := *r
	i := s.find(lo)
	if i == len(s) || s[i][0] > hi {
		return
	}
	j := i
	var rest []Range
	for j < len(s) && s[j][0] <= hi {
		if s[j][0] < lo {
			rest = append(rest, Range{s[j][0], lo - 1})
		}
		if s[j][1] > hi {
			rest = append(rest, Range{hi + 1, s[j][1]})
		}
		j++
	}
	*r = slices.Replace(s, i, j, rest...)
}

// Union adds every number of o.
func (r *Ranges) Union(o Ranges) {
	for _, x := range o {
		r.Add(x[0], x[1])
	}
}

// Count gives how many numbers the set holds.
func (r Ranges) Count() uint64 {
	var n uint64
	for _, x := range r {
		n += x[1] - x[0] + 1
	}
	return n
}

// Min gives the lowest number; ok is false for the empty set.
func (r Ranges) Min() (n uint64, ok bool) {
	if len(r) == 0 {
		return 0, false
	}
	return r[0][0], true
}

// Max gives the highest number; ok is false for the empty set.
func (r Ranges) Max() (n uint64, ok bool) {
	if len(r) == 0 {
		return 0, false
	}
	return r[len(r)-1][1], true
}

// Clone returns an independent copy.
func (r Ranges) Clone() Ranges { return slices.Clone(r) }

// All yields the numbers in ascending order.
func (r Ranges) All() func(func(uint64) bool) {
	return func(yield func(uint64) bool) {
		for _, x := range r {
			for n := x[0]; ; n++ {
				if !yield(n) {
					return
				}
				if n == x[1] {
					break
				}
			}
		}
	}
}
