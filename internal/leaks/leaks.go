// Package leaks fails tests that leave goroutines behind.
package leaks

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines that were told to end may take to do so. goleak by itself waits for less than half a second, which on
// a busy machine may be over before a connection is closed or a file synced.
const patience = time.Minute

// Main runs the tests of a package and ends the program: with a failure too if the tests passed and goroutines of theirs go on.
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := find(patience); err != nil {
			fmt.Fprintln(os.Stderr, "the tests passed and left behind:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// None fails a test that leaves goroutines behind. It is for the end of the test.
func None(t *testing.T, options ...goleak.Option) {
	t.Helper()
	if err := find(patience, options...); err != nil {
		t.Error(err)
	}
}

// find gives the goroutines that go on after a time.
func find(patience time.Duration, options ...goleak.Option) (err error) {
	for end := time.Now().Add(patience); ; {
		if err = goleak.Find(options...); err == nil || time.Now().After(end) {
			return err
		}
	}
}
