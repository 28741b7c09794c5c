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
