//go:build race

package seal_test

// raced says that the race detector slows everything down.
const raced = true
