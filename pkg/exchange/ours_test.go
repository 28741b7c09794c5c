package exchange_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/hoft/hoft/pkg/exchange"
)

// A peer that asks for a call under the id of one that was made here, and that it knows, is refused; what is stored of that stays.
func TestRequestUnderTheIDOfAnOwnCall(t *testing.T) {
	up := &callee{calls: map[string]int{}, slots: 1, do: echo}
	a, b := apart(t, up)
	a.up = up
	a.start()
	b.start()
	t.Cleanup(func() { a.stop(); b.stop() })
	id := post(t, a, request(b, "POST", "/first", []byte("kept")))
	awaitResult(t, a, id)
	ask(t, a, b, id, "POST", 1, 0)
	awaitWords(t, a, id, word(1000, exchange.CodeInternal))
	if n := up.count("/x"); n != 0 {
		t.Errorf("made %d times", n)
	}
	if body, err := io.ReadAll(awaitResult(t, a, id).Body); err != nil || !bytes.Equal(body, []byte("kept")) {
		t.Errorf("stored is %q, %v", body, err)
	}
}
