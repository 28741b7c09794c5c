package seal_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"errors"
	"testing"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/seal"
	"github.com/hoft/hoft/pkg/seal/internal/forge"
)

// self and peer turn a forged site into what package seal takes.
func self(tb testing.TB, s *forge.Site) seal.Self {
	tb.Helper()
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), s.Enc.Bytes())
	if err != nil {
		tb.Fatal(err)
	}
	return seal.Self{ID: s.ID, SigKid: s.SigKid, Sig: s.Sig, Enc: map[string]*ecdsa.PrivateKey{s.EncKid: key}}
}

func peer(tb testing.TB, s *forge.Site) seal.Peer {
	tb.Helper()
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), s.Enc.PublicKey().Bytes())
	if err != nil {
		tb.Fatal(err)
	}
	return seal.Peer{
		ID: s.ID, Name: "peer", Sig: map[string]ed25519.PublicKey{s.SigKid: s.Sig.Public().(ed25519.PublicKey)},
		EncKid: s.EncKid, Enc: key,
	}
}

// world is three sites: a writes to b; c is another peer of both.
type world struct {
	a, b, c *forge.Site
	sealer  *seal.Sealer // a to b
	opener  *seal.Opener // b's, with a and c as peers
	name    frame.Name   // of file 1 from a to b
	signed  bool         // the link from a to b is in signed mode
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{a: forge.NewSite(0xa), b: forge.NewSite(0xb), c: forge.NewSite(0xc)}
	w.sealer = newSealer(tb, self(tb, w.a), peer(tb, w.b))
	w.opener = newOpener(tb, self(tb, w.b), peer(tb, w.a), peer(tb, w.c))
	w.name = forge.Name(w.a.ID, w.b.ID, forge.Seq(1))
	return w
}

// newSignedWorld is the same in signed mode, with public keys or with a pre-shared secret.
func newSignedWorld(tb testing.TB, psk []byte) *world {
	tb.Helper()
	w := newWorld(tb)
	w.signed, w.name.Ext = true, frame.ExtSigned
	me, to, from := self(tb, w.a), peer(tb, w.b), peer(tb, w.a)
	if psk != nil {
		me, to, from = seal.Self{ID: w.a.ID}, seal.Peer{ID: w.b.ID, PSK: psk}, seal.Peer{ID: w.a.ID, PSK: psk}
	}
	to.Signed, from.Signed = true, true
	w.sealer = newSealer(tb, me, to)
	w.opener = newOpener(tb, self(tb, w.b), from, peer(tb, w.c))
	return w
}

// newPSKWorld is the same with a pre-shared secret between a and b.
func newPSKWorld(tb testing.TB, psk []byte) *world {
	tb.Helper()
	w := newWorld(tb)
	w.sealer = newSealer(tb, seal.Self{ID: w.a.ID}, seal.Peer{ID: w.b.ID, PSK: psk})
	w.opener = newOpener(tb, self(tb, w.b), seal.Peer{ID: w.a.ID, PSK: psk}, peer(tb, w.c))
	return w
}

func newSealer(tb testing.TB, s seal.Self, p seal.Peer) *seal.Sealer {
	tb.Helper()
	out, err := seal.NewSealer(s, p)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func newOpener(tb testing.TB, s seal.Self, p ...seal.Peer) *seal.Opener {
	tb.Helper()
	out, err := seal.NewOpener(s, p)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// claims are the right ones for line idx of n of file 1.
func (w *world) claims(idx, n, pad int) []byte {
	return forge.Claims(w.a.ID, w.b.ID, w.sealer.Rkt(), w.name.Seq, idx, n, pad)
}

// file seals n lines and gives the file and where each line ends (behind its newline).
func (w *world) file(tb testing.TB, n, pad int) (data []byte, ends []int) {
	tb.Helper()
	for i := range n {
		var err error
		if data, err = w.sealer.Seal(data, w.claims(i, n, pad)); err != nil {
			tb.Fatal(err)
		}
		ends = append(ends, len(data))
	}
	return data, ends
}

// line seals one line that is a whole file, without its newline.
func (w *world) line(tb testing.TB, pad int) []byte {
	tb.Helper()
	data, _ := w.file(tb, 1, pad)
	return data[:len(data)-1]
}

// refused fails unless err is a refusal for the reason.
func refused(tb testing.TB, err error, want seal.Reason) *seal.Error {
	tb.Helper()
	var e *seal.Error
	if !errors.As(err, &e) || e == nil {
		tb.Fatalf("want a refusal (%s), got %v", want, err)
	}
	if e.Reason != want {
		tb.Fatalf("refused for %s (check %d: %s), want %s", e.Reason, e.Check, e.Detail, want)
	}
	return e
}

var testPSK = []byte("0123456789abcdef0123456789abcdef")

// both runs a test with public keys and with a pre-shared secret, encrypted and only signed.
func both(t *testing.T, f func(t *testing.T, w *world)) {
	t.Parallel()
	t.Run("keys", func(t *testing.T) { t.Parallel(); f(t, newWorld(t)) })
	t.Run("psk", func(t *testing.T) { t.Parallel(); f(t, newPSKWorld(t, testPSK)) })
	t.Run("signed", func(t *testing.T) { t.Parallel(); f(t, newSignedWorld(t, nil)) })
	t.Run("signed-psk", func(t *testing.T) { t.Parallel(); f(t, newSignedWorld(t, testPSK)) })
}
