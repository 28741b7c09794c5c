package seal_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"github.com/hoft/hoft/pkg/seal"
	"github.com/hoft/hoft/pkg/seal/internal/forge"
)

// TestSignedLine seals exactly the token that the standard library makes of the same keys and claims: Ed25519 and HMAC
// have no random part. The claims can be read without any key.
func TestSignedLine(t *testing.T) {
	w := newSignedWorld(t, nil)
	claims := w.claims(0, 1, 100)
	line := w.line(t, 100)
	if want := forge.JWS(w.a.Sig, forge.Signed("EdDSA", w.a.SigKid), claims); !bytes.Equal(line, want) {
		t.Errorf("sealed\n%s\nwant\n%s", line, want)
	}
	if got, err := base64.RawURLEncoding.DecodeString(string(bytes.Split(line, []byte("."))[1])); err != nil || !bytes.Equal(got, claims) {
		t.Errorf("the payload is not the claims: %q, %v", got, err)
	}
	w = newSignedWorld(t, testPSK)
	k := forge.Derive(testPSK, w.a.ID, w.b.ID)
	if want := forge.HS256(k.Sign, forge.Signed("HS256", k.Kid), w.claims(0, 1, 0)); !bytes.Equal(w.line(t, 0), want) {
		t.Errorf("with a secret: sealed\n%s\nwant\n%s", w.line(t, 0), want)
	}
}

// TestSignedKnownAnswer seals what testdata/signed-known.txt says, and must make its line.
func TestSignedKnownAnswer(t *testing.T) {
	text, err := os.ReadFile("testdata/signed-known.txt")
	if err != nil {
		t.Fatal(err)
	}
	head, line, _ := strings.Cut(string(text), "\n\n")
	v := map[string]string{}
	for l := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSuffix(l, "\n"), ": ")
		v[key] = value
	}
	raw := func(key string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(v[key])
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	enc, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw("enc"))
	if err != nil {
		t.Fatal(err)
	}
	s := newSealer(t, seal.Self{ID: parseID(t, v["from"]), SigKid: v["kid"], Sig: ed25519.NewKeyFromSeed(raw("seed"))},
		seal.Peer{ID: parseID(t, v["to"]), EncKid: v["rkt"], Enc: enc, Signed: true})
	got, err := s.Seal(nil, []byte(v["claims"]))
	if err != nil || string(got) != line {
		t.Errorf("sealed\n%s\nwant\n%s\n%v", got, line, err)
	}
}

// TestSealModesDoNotMix takes the tokens of one mode to the other: under its own name a file is refused for the mode, under
// the name of the other mode for its shape or its typ.
func TestSealModesDoNotMix(t *testing.T) {
	open, shut := newSignedWorld(t, nil), newWorld(t)
	shut.a, shut.b, shut.c = open.a, open.b, open.c
	shut.sealer = newSealer(t, self(t, open.a), peer(t, open.b))
	shut.opener = newOpener(t, self(t, open.b), peer(t, open.a))

	_, err := shut.opener.Line(open.name, open.line(t, 0))
	refused(t, err, seal.Mode)
	_, err = open.opener.Line(shut.name, shut.line(t, 0))
	refused(t, err, seal.Mode)
	_, err = shut.opener.Line(shut.name, open.line(t, 0))
	refused(t, err, seal.Charset)
	_, err = open.opener.Line(open.name, shut.line(t, 0))
	refused(t, err, seal.Charset)

	// The signed token inside an encrypted line, which its recipient could take out, and the other way round.
	inner := forge.JWS(open.a.Sig, forge.Inner("EdDSA", open.a.SigKid), open.claims(0, 1, 0))
	_, err = open.opener.Line(open.name, inner)
	refused(t, err, seal.Header)
	_, err = shut.opener.Line(shut.name, forge.Seal(open.b, open.line(t, 0)))
	refused(t, err, seal.Signature)
}

// TestSignedThirdSite takes a signed line, which everybody can read, to other sites that trust its sender.
func TestSignedThirdSite(t *testing.T) {
	w := newSignedWorld(t, nil)
	line, from := w.line(t, 0), peer(t, w.a)
	from.Signed = true
	name := w.name
	name.Recipient = w.c.ID
	_, err := newOpener(t, self(t, w.c), from).Line(name, line)
	refused(t, err, seal.Claims)
	_, err = newOpener(t, self(t, forge.NewSite(0xb)), from).Line(w.name, line) // the same id, other keys
	refused(t, err, seal.Claims)
}

// FuzzSignedLine opens what was derived from a real line: only the real one opens, and nothing panics.
func FuzzSignedLine(f *testing.F) {
	w := newSignedWorld(f, nil)
	good := w.line(f, 0)
	f.Add(good)
	for _, header := range []string{forge.Inner("EdDSA", w.a.SigKid), forge.Signed("none", w.a.SigKid), forge.Signed("EdDSA", w.c.SigKid)} {
		f.Add(forge.JWS(w.a.Sig, header, w.claims(0, 1, 0)))
	}
	f.Add(forge.JWS(w.c.Sig, forge.Signed("EdDSA", w.a.SigKid), w.claims(0, 1, 0)))
	f.Fuzz(func(t *testing.T, line []byte) {
		seal.Inspect(line)
		_, err := w.opener.Line(w.name, line)
		if err == nil && !bytes.Equal(line, good) {
			t.Fatalf("a line opens that nobody signed: %q", line)
		}
		if e, ok := err.(*seal.Error); ok && e.Reason == seal.Panic {
			t.Fatalf("a panic: %s", e.Detail)
		}
	})
}
