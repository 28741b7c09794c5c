//go:build !linux

package chunk

// preallocate does nothing here.
func preallocate(diskFile, int64, int64) {}
