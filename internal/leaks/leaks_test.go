package leaks

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// A goroutine that takes its time to end is none that was left behind; one that never ends is.
func TestFind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	end, ended := make(chan struct{}), make(chan struct{})
	go func() { <-end; close(ended) }()
	if find(0, before) == nil {
		t.Error("a goroutine that goes on is not found")
	}
	time.AfterFunc(time.Second, func() { close(end) }) // longer than goleak waits
	if err := find(time.Minute, before); err != nil {
		t.Error(err)
	}
	<-ended
}
