package exchange_test

import (
	"io"
	"testing"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/store"
)

// An answer without end whose call is gone, with the state of the site that made it, is ended: it would hold its slot for ever.
func TestAnswerOfALostCallIsEnded(t *testing.T) {
	r, w := io.Pipe()
	up := &callee{slots: 1, calls: map[string]int{}, do: func(*exchange.Request, []byte) *exchange.Response {
		return &exchange.Response{Status: 200, Length: -1, Body: r}
	}}
	a, b := apart(t, up)
	a.bare, b.bare = true, true
	a.start()
	b.start()
	t.Cleanup(func() { a.stop(); b.stop() })
	id := post(t, a, request(b, "GET", "/stream", nil))
	if _, err := w.Write(randomBytes(1000)); err != nil {
		t.Fatal(err)
	}
	until(t, "its answer has begun", func() bool { return stateOf(t, a, id).Stage == exchange.StageAnswered })
	until(t, "its head is acknowledged", func() bool {
		held := make(chan int64, 1)
		if err := b.n.Do(func(s *node.Step) { n, _ := s.Link(a.self.ID()).Held(); held <- n }); err != nil {
			t.Fatal(err)
		}
		return <-held == 0
	})
	a.crash()
	a.db = store.NewMem()
	a.start()
	until(t, "the server's answer is closed", func() bool {
		_, err := w.Write(randomBytes(1000))
		return err != nil
	})
}
