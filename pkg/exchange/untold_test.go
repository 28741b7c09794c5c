package exchange_test

import (
	"errors"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/store"
)

// An exchange is not forgotten while its callback is due, however long a receiver is away; when that was given up it goes in
// its time.
func TestExchangeStaysUntilItsReceiverIsTold(t *testing.T) {
	a, b := apart(t, &callee{calls: map[string]int{}, do: echo, slots: 4})
	a.keep, a.ttl = time.Nanosecond, time.Nanosecond
	a.start()
	b.start()
	t.Cleanup(func() { a.stop(); b.stop() })
	r := request(b, "POST", "/x", nil)
	r.Callback = "https://a.example/hook"
	told := post(t, a, r)
	other := post(t, a, request(b, "POST", "/other", nil))
	until(t, "both have ended", func() bool {
		for _, id := range [][16]byte{told, other} {
			if row, err := a.db.Exchange(t.Context(), id, store.SideIngress); err != nil || row.Ended.IsZero() {
				return false
			}
		}
		return true
	})
	known := func(id [16]byte) bool {
		_, err := a.db.Exchange(t.Context(), id, store.SideIngress)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		return err == nil
	}
	expire(t, a, func() bool { return !known(other) })
	rows, err := a.db.CallbacksDue(t.Context(), time.Now(), 9)
	if err != nil || len(rows) != 1 || !known(told) {
		t.Fatalf("%v, %v; the exchange is known: %t", rows, err, known(told))
	}
	rows[0].State = store.CallbackDead
	var batch store.Batch
	batch.SetCallback(rows[0])
	if err := a.db.Commit(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	expire(t, a, func() bool { return !known(told) })
}
