//go:build linux || windows

package pipe

// tooManyToWatch is never: one watch serves a folder of any size here.
func tooManyToWatch(*Dir) bool { return false }
