//go:build !linux && !windows

package pipe

// maxWatched bounds the names in a watched folder: kqueue holds a descriptor open for each file in it.
const maxWatched = 1024

// tooManyToWatch says that the last scan saw more names than should be held open; the poll serves alone then.
func tooManyToWatch(d *Dir) bool {
	var st Stats
	d.track.fill(&st)
	n := st.Tracked
	for _, k := range st.Skipped {
		n += k
	}
	return n > maxWatched
}
