package node

import (
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/seal"
)

func TestRefusalsAreLoggedOncePerMinute(t *testing.T) {
	q, now := quiet{}, time.Unix(1000, 0)
	a, b := identity.ID{1}, identity.ID{2}
	if _, ok := q.allow(a, seal.Decrypt, now); !ok {
		t.Error("the first refusal is not logged")
	}
	for i := range 5 {
		if _, ok := q.allow(a, seal.Decrypt, now.Add(time.Duration(i)*time.Second)); ok {
			t.Error("a second line within the minute")
		}
	}
	if _, ok := q.allow(a, seal.Charset, now); !ok {
		t.Error("another reason is not logged")
	}
	if _, ok := q.allow(b, seal.Decrypt, now); !ok {
		t.Error("another peer is not logged")
	}
	if n, ok := q.allow(a, seal.Decrypt, now.Add(quietFor)); !ok || n != 5 {
		t.Errorf("after a minute: %v with %d held back, want 5", ok, n)
	}
}
