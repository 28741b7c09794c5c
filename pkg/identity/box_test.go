package identity

import (
	"bytes"
	"errors"
	"testing"
)

func TestBox(t *testing.T) {
	site, err := Generate("site-a")
	if err != nil {
		t.Fatal(err)
	}
	other, err := Generate("site-a")
	if err != nil {
		t.Fatal(err)
	}
	box, err := site.Box()
	if err != nil {
		t.Fatal(err)
	}
	sealed := box.Seal([]byte("token"), "a/b")
	if bytes.Contains(sealed, []byte("token")) {
		t.Error("not sealed")
	}
	if again := box.Seal([]byte("token"), "a/b"); bytes.Equal(sealed, again) {
		t.Error("sealing twice gives the same bytes")
	}
	if plain, err := box.Open(sealed, "a/b"); err != nil || string(plain) != "token" {
		t.Errorf("%q, %v", plain, err)
	}
	foreign, err := other.Box()
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, b *Box, sealed []byte, purpose string) {
		t.Helper()
		if plain, err := b.Open(sealed, purpose); !errors.Is(err, ErrSealed) || plain != nil {
			t.Errorf("%s: %q, %v", what, plain, err)
		}
	}
	refused("another identity", foreign, sealed, "a/b")
	refused("another purpose", box, sealed, "a/c")
	refused("nothing", box, nil, "a/b")
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		refused("a flipped bit", box, bad, "a/b")
		refused("a cut", box, sealed[:i], "a/b")
	}
	// After a rotation the old key is the second one.
	rotated := &Site{id: site.id, name: site.name, sig: []*sigPair{other.sig[0], site.sig[0]}}
	box, err = rotated.Box()
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := box.Open(sealed, "a/b"); err != nil || string(plain) != "token" {
		t.Errorf("after a rotation: %q, %v", plain, err)
	}
	if plain, err := foreign.Open(box.Seal([]byte("new"), "x"), "x"); err != nil || string(plain) != "new" {
		t.Errorf("sealed with the new key: %q, %v", plain, err)
	}
}
