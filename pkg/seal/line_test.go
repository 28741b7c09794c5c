package seal_test

import (
	"bytes"
	"crypto/ecdsa"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/seal"
	"github.com/hoft/hoft/pkg/seal/internal/forge"
)

func TestRoundTrip(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		for _, pad := range []int{0, 1, 2, 3, 1000, 60_000} {
			claims := w.claims(0, 1, pad)
			want, err := frame.ParseClaims(claims)
			if err != nil {
				t.Fatal(err)
			}
			got, err := w.opener.Line(w.name, w.line(t, pad))
			if err != nil {
				t.Fatalf("%d bytes: %v (%s)", pad, err, err.(*seal.Error).Detail)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%d bytes: claims differ (-want +got):\n%s", pad, d)
			}
		}
	})
}

// TestSealAppends checks that Seal keeps what dst holds and ends the line.
func TestSealAppends(t *testing.T) {
	w := newWorld(t)
	out, err := w.sealer.Seal([]byte("before\n"), w.claims(0, 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(out, []byte("before\n")) || bytes.Count(out, []byte("\n")) != 2 || out[len(out)-1] != '\n' {
		t.Fatalf("not one line behind what was there: %q", out)
	}
	if _, err := w.sealer.Seal(nil, make([]byte, frame.MaxClaims+1)); err == nil {
		t.Error("claims above the limit were sealed")
	}
	big, err := w.sealer.Seal(nil, make([]byte, frame.MaxClaims))
	if err != nil || len(big)-1 > frame.MaxLine {
		t.Errorf("the largest claims give a line of %d bytes (%v), more than is accepted", len(big), err)
	}
}

// TestForged opens lines that the standard library alone has made: both sides agree on the format.
func TestForged(t *testing.T) {
	w := newWorld(t)
	if w.sealer.Rkt() != w.b.EncKid {
		t.Errorf("rkt is %s, want the thumbprint of the peer's key, %s", w.sealer.Rkt(), w.b.EncKid)
	}
	if _, err := w.opener.Line(w.name, forge.Line(w.a, w.b, w.claims(0, 1, 100))); err != nil {
		t.Errorf("public keys: %v", err)
	}
	w = newPSKWorld(t, testPSK)
	k := forge.Derive(testPSK, w.a.ID, w.b.ID)
	if w.sealer.Rkt() != k.Kid {
		t.Errorf("rkt is %s, want %s", w.sealer.Rkt(), k.Kid)
	}
	line := forge.JWEKW(k.Enc, forge.OuterPSK(k.Kid), forge.HS256(k.Sign, forge.Inner("HS256", k.Kid), w.claims(0, 1, 100)))
	if _, err := w.opener.Line(w.name, line); err != nil {
		t.Errorf("pre-shared secret: %v", err)
	}
}

// TestHeaderOrder accepts the right members in another order: other libraries write them so.
func TestHeaderOrder(t *testing.T) {
	w := newWorld(t)
	inner := forge.JWS(w.a.Sig, `{"typ":"hoft-frame+jwt","kid":"`+w.a.SigKid+`","alg":"EdDSA"}`, w.claims(0, 1, 0))
	line := forge.JWE(w.b.Enc.PublicKey(), func(epk string) string {
		return `{"typ":"hoft-frame+jwt","epk":` + epk + `,"kid":"` + w.b.EncKid + `","enc":"A256GCM","cty":"JWT","alg":"ECDH-ES"}`
	}, inner)
	if _, err := w.opener.Line(w.name, line); err != nil {
		t.Errorf("%v: %s", err, err.(*seal.Error).Detail)
	}
}

// TestEveryBitFlip changes every bit of a line: none of the results is a line.
func TestEveryBitFlip(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		line := w.line(t, 0)
		changed := make([]byte, len(line))
		for i := range line {
			for bit := range 8 {
				if raced && bit != i%8 {
					continue
				}
				copy(changed, line)
				changed[i] ^= 1 << bit
				if _, err := w.opener.Line(w.name, changed); err == nil {
					t.Fatalf("byte %d bit %d (%q to %q): opened", i, bit, line[i], changed[i])
				}
			}
		}
	})
}

// TestEveryInnerBitFlip does the same to the inner token, which only a peer could change.
func TestEveryInnerBitFlip(t *testing.T) {
	w := newWorld(t)
	inner := forge.JWS(w.a.Sig, forge.Inner("EdDSA", w.a.SigKid), w.claims(0, 1, 0))
	step := 1
	if raced {
		step = 5
	}
	for i := 0; i < len(inner); i += step {
		changed := bytes.Clone(inner)
		changed[i] ^= 1 << (i % 6)
		_, err := w.opener.Line(w.name, forge.Seal(w.b, changed))
		refused(t, err, seal.Signature)
	}
}

func TestEveryByteInsertedOrRemoved(t *testing.T) {
	w := newWorld(t)
	line := w.line(t, 0)
	for i := range line {
		if _, err := w.opener.Line(w.name, append(bytes.Clone(line[:i]), line[i+1:]...)); err == nil {
			t.Fatalf("opened without byte %d", i)
		}
		for _, c := range []byte("A.\n\r= \x00") {
			if _, err := w.opener.Line(w.name, append(append(bytes.Clone(line[:i]), c), line[i:]...)); err == nil {
				t.Fatalf("opened with %q before byte %d", c, i)
			}
		}
	}
}

// TestThirdSite is surreptitious forwarding (Davis 2001): b takes a's signed token out of its line and
// seals it to c, which trusts a as well.
func TestThirdSite(t *testing.T) {
	w := newWorld(t)
	inner := forge.JWS(w.a.Sig, forge.Inner("EdDSA", w.a.SigKid), w.claims(0, 1, 0))
	atC := newOpener(t, self(t, w.c), peer(t, w.a), peer(t, w.b))
	_, err := atC.Line(forge.Name(w.a.ID, w.c.ID, w.name.Seq), forge.Seal(w.c, inner))
	if e := refused(t, err, seal.Claims); !strings.Contains(e.Detail, "aud") {
		t.Errorf("refused for another cause: %s", e.Detail)
	}

	// A site with the same id and other keys: rkt tells the difference.
	twin := forge.NewSite(0xb)
	atTwin := newOpener(t, self(t, twin), peer(t, w.a))
	_, err = atTwin.Line(w.name, forge.Seal(twin, inner))
	if e := refused(t, err, seal.Claims); !strings.Contains(e.Detail, "rkt") {
		t.Errorf("refused for another cause: %s", e.Detail)
	}
}

// TestAnotherPeersName is a peer that speaks in the name of another, with its own key.
func TestAnotherPeersName(t *testing.T) {
	w := newWorld(t)
	claims := w.claims(0, 1, 0) // iss is a
	inner := forge.JWS(w.c.Sig, forge.Inner("EdDSA", w.c.SigKid), claims)

	_, err := w.opener.Line(w.name, forge.Seal(w.b, inner)) // in a file of a's
	refused(t, err, seal.Signature)
	_, err = w.opener.Line(forge.Name(w.c.ID, w.b.ID, w.name.Seq), forge.Seal(w.b, inner)) // in its own
	if e := refused(t, err, seal.Claims); !strings.Contains(e.Detail, "iss") {
		t.Errorf("refused for another cause: %s", e.Detail)
	}
	// With a's kid in the header and its own signature.
	inner = forge.JWS(w.c.Sig, forge.Inner("EdDSA", w.a.SigKid), claims)
	_, err = w.opener.Line(w.name, forge.Seal(w.b, inner))
	refused(t, err, seal.Signature)
}

func TestRenamed(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		line := w.line(t, 0)
		name := w.name
		name.Seq++
		_, err := w.opener.Line(name, line)
		refused(t, err, seal.Claims)
		name = w.name
		name.Sender = w.c.ID
		if _, err = w.opener.Line(name, line); err == nil {
			t.Error("opened under the name of another sender")
		}
		name = w.name
		name.Recipient = w.c.ID
		_, err = w.opener.Line(name, line)
		refused(t, err, seal.Name)
		name = w.name
		name.Sender = identity.ID{9}
		_, err = w.opener.Line(name, line)
		refused(t, err, seal.Name)
		name = w.name
		name.Ext = frame.ExtPack
		_, err = w.opener.Line(name, line)
		refused(t, err, seal.Name)
		if name.Ext = frame.ExtSigned; w.signed {
			name.Ext = frame.ExtFrame
		}
		_, err = w.opener.Line(name, line)
		refused(t, err, seal.Mode)
	})
}

// TestRotation opens what was sealed to a retired key that is still live, and nothing sealed to a
// deleted one; likewise for the sender's signing keys.
func TestRotation(t *testing.T) {
	w := newWorld(t)
	old := w.line(t, 0)
	next := forge.NewSite(0xb) // b with new keys
	now := self(t, next)
	for kid, key := range self(t, w.b).Enc {
		now.Enc[kid] = key
	}
	if _, err := newOpener(t, now, peer(t, w.a)).Line(w.name, old); err != nil {
		t.Errorf("retired key: %v", err)
	}
	_, err := newOpener(t, self(t, next), peer(t, w.a)).Line(w.name, old)
	if e := refused(t, err, seal.Decrypt); !strings.Contains(e.Detail, w.b.EncKid) {
		t.Errorf("the detail does not name the key: %s", e.Detail)
	}

	a2 := forge.NewSite(0xa)
	p := peer(t, a2)
	if _, err := newOpener(t, self(t, w.b), p).Line(w.name, old); err == nil {
		t.Error("opened with a signing key that is not accepted")
	}
	p.Sig[w.a.SigKid] = peer(t, w.a).Sig[w.a.SigKid]
	if _, err := newOpener(t, self(t, w.b), p).Line(w.name, old); err != nil {
		t.Errorf("two accepted signing keys: %v", err)
	}
}

// TestModesDoNotMix sends lines of the one suite to a peer that is configured for the other.
func TestModesDoNotMix(t *testing.T) {
	keys, psk := newWorld(t), newPSKWorld(t, testPSK)
	_, err := keys.opener.Line(keys.name, psk.line(t, 0))
	refused(t, err, seal.Charset)
	_, err = psk.opener.Line(psk.name, keys.line(t, 0))
	refused(t, err, seal.Charset)
}

// TestReflection returns a site's own lines to it: with one secret for both directions only the
// labels of the derivation tell them apart.
func TestReflection(t *testing.T) {
	w := newPSKWorld(t, testPSK)
	line := w.line(t, 0)
	atA := newOpener(t, self(t, w.a), seal.Peer{ID: w.b.ID, PSK: testPSK})
	_, err := atA.Line(forge.Name(w.b.ID, w.a.ID, w.name.Seq), line)
	refused(t, err, seal.Decrypt)

	back := newSealer(t, seal.Self{ID: w.b.ID}, seal.Peer{ID: w.a.ID, PSK: testPSK})
	if back.Rkt() == w.sealer.Rkt() {
		t.Error("both directions have one kid")
	}
	other := newPSKWorld(t, bytes.Repeat([]byte{7}, 32))
	if other.sealer.Rkt() == w.sealer.Rkt() {
		t.Error("two secrets have one kid")
	}
	_, err = other.opener.Line(other.name, line)
	refused(t, err, seal.Decrypt)
}

func TestConcurrent(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 20 {
					line, err := w.sealer.Seal(nil, w.claims(0, 1, g*100+i))
					if err != nil {
						t.Error(err)
						return
					}
					if r := w.opener.File(w.name, line, seal.Mark{}); !r.Whole {
						t.Error(r.Err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

// TestFreshKeys checks that sealing the same claims twice shares nothing an observer could compare.
func TestFreshKeys(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		if w.signed {
			return // nothing is hidden
		}
		a, b := bytes.Split(w.line(t, 200), []byte(".")), bytes.Split(w.line(t, 200), []byte("."))
		for i := range a {
			if i == 0 && len(a[1]) > 0 {
				continue // the header of the suite with a secret is constant
			}
			if len(a[i]) > 0 && bytes.Equal(a[i], b[i]) {
				t.Errorf("part %d is the same twice", i)
			}
		}
	})
}

func TestBadKeys(t *testing.T) {
	w := newWorld(t)
	good, goodPeer := self(t, w.a), peer(t, w.b)
	sealers := map[string]func(s *seal.Self, p *seal.Peer){
		"own id missing":         func(s *seal.Self, p *seal.Peer) { s.ID = identity.ID{} },
		"peer is self":           func(s *seal.Self, p *seal.Peer) { p.ID = s.ID },
		"no signing key":         func(s *seal.Self, p *seal.Peer) { s.Sig = nil },
		"kid of another key":     func(s *seal.Self, p *seal.Peer) { s.SigKid = w.c.SigKid },
		"no encryption key":      func(s *seal.Self, p *seal.Peer) { p.Enc = nil },
		"encryption kid differs": func(s *seal.Self, p *seal.Peer) { p.EncKid = w.c.EncKid },
		"psk beside keys":        func(s *seal.Self, p *seal.Peer) { p.PSK = testPSK },
		"short psk":              func(s *seal.Self, p *seal.Peer) { *p = seal.Peer{ID: p.ID, PSK: testPSK[:31]} },
		"empty psk":              func(s *seal.Self, p *seal.Peer) { *p = seal.Peer{ID: p.ID, PSK: []byte{}} },
	}
	for what, change := range sealers {
		s, p := good, goodPeer
		change(&s, &p)
		if _, err := seal.NewSealer(s, p); err == nil {
			t.Errorf("NewSealer: %s: accepted", what)
		}
	}
	openers := map[string]func(s *seal.Self, p *seal.Peer){
		"no key of its own":      func(s *seal.Self, p *seal.Peer) { s.Enc = nil },
		"nil key":                func(s *seal.Self, p *seal.Peer) { s.Enc = map[string]*ecdsa.PrivateKey{w.a.EncKid: nil} },
		"kid of another key":     func(s *seal.Self, p *seal.Peer) { s.Enc = map[string]*ecdsa.PrivateKey{w.c.EncKid: s.Enc[w.a.EncKid]} },
		"no signing key of peer": func(s *seal.Self, p *seal.Peer) { p.Sig = nil },
		"short signing key":      func(s *seal.Self, p *seal.Peer) { p.Sig = cut(p.Sig) },
		"psk beside keys":        func(s *seal.Self, p *seal.Peer) { p.PSK = testPSK },
	}
	for what, change := range openers {
		s, p := good, goodPeer
		change(&s, &p)
		if _, err := seal.NewOpener(s, []seal.Peer{p}); err == nil {
			t.Errorf("NewOpener: %s: accepted", what)
		}
	}
	if _, err := seal.NewOpener(good, []seal.Peer{goodPeer, goodPeer}); err == nil {
		t.Error("NewOpener: a peer listed twice: accepted")
	}
}

func cut[V ~[]byte](m map[string]V) map[string]V {
	out := make(map[string]V)
	for k, v := range m {
		out[k] = v[:len(v)-1]
	}
	return out
}
