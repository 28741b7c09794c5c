package exchange

import (
	"io"
	"testing"
)

// Who has read all of an answer has not left, even if the loop does not know yet that all of it is here.
func TestReadingAllIsNotLeaving(t *testing.T) {
	for name, read := range map[string]int64{"all": 6, "a part": 4} {
		t.Run(name, func(t *testing.T) {
			w := newWaiter(ID{1}, nil, nil)
			left := false
			w.leave = func() { left = true }
			w.setHead(&resData{Status: 200, More: true}, []byte("abc"), "b")
			total := int64(6)
			w.addPart(&bodyData{Offset: 3, Total: &total}, []byte("def"))
			resp, err := w.awaitHead(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, struct{ io.Reader }{resp.Body}, read); err != nil {
				t.Fatal(err)
			}
			if err := resp.Body.Close(); err != nil || left != (read < total) {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// An answer whose head was passed on is not replaced, however close the new one was behind that.
func TestPassedOnIsNotReplaced(t *testing.T) {
	for _, taken := range []bool{true, false} {
		w := newWaiter(ID{1}, nil, nil)
		w.setHead(&resData{Status: 200, More: true, Attempt: 1001}, []byte("abc"), "b")
		if taken {
			if _, err := w.awaitHead(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if void := w.restart(); void == taken || (w.head == nil) == taken {
			t.Errorf("passed on: %t, replaced: %t, head %v", taken, void, w.head)
		}
	}
}

// Nobody reads an answer that came when its caller had just stopped waiting: it expires as others do.
func TestWhoHasLeftHoldsNoAnswer(t *testing.T) {
	for _, late := range []bool{true, false} {
		w := newWaiter(ID{1}, nil, nil)
		w.setHead(&resData{Status: 200, More: true}, nil, "b")
		ended := 0
		if late {
			w.abandon()
		}
		if held := w.whenRead(func() { ended++ }); held == late {
			t.Errorf("left before the end: %t, held: %t", late, held)
		}
		if !late {
			w.abandon()
		}
		if (ended == 1) == late {
			t.Errorf("left before the end: %t, let go %d times", late, ended)
		}
	}
}
