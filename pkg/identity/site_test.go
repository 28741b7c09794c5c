package identity

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// The keys in testdata are the published examples of RFC 8037 appendix A.1 and RFC 7515 appendix A.3.1.
const (
	goldenID          = "0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77"
	goldenSigKID      = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" // RFC 8037 appendix A.3
	goldenEncKID      = "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"
	goldenFingerprint = "3f6k 3ufu xez4 gn37 n2eb khnn jle2 uivz"
)

func golden(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func generate(t testing.TB, name string) *Site {
	t.Helper()
	site, err := Generate(name)
	if err != nil {
		t.Fatal(err)
	}
	return site
}

// stateOf makes a state folder with a new site in it.
func stateOf(t testing.TB, name string) (string, *Site) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	site := generate(t, name)
	if err := site.Create(dir); err != nil {
		t.Fatal(err)
	}
	return dir, site
}

func TestGoldenFilesRoundTrip(t *testing.T) {
	site, err := ParseSite(golden(t, "identity.jwks"), "identity.jwks")
	if err != nil {
		t.Fatal(err)
	}
	if site.ID().String() != goldenID || site.Name() != "site-a" {
		t.Errorf("read %v", site)
	}
	if got := site.encode(); !bytes.Equal(got, golden(t, "identity.jwks")) {
		t.Errorf("private form:\n%s", got)
	}
	if got := site.Public().Encode(); !bytes.Equal(got, golden(t, "public.jwks")) {
		t.Errorf("public form:\n%s", got)
	}
	if got := site.Fingerprint(); got != goldenFingerprint {
		t.Errorf("fingerprint %q", got)
	}
	kid, key := site.SigKey()
	if kid != goldenSigKID || !ed25519.Verify(site.Public().Sig[0].Key, []byte("m"), ed25519.Sign(key, []byte("m"))) {
		t.Errorf("signing key %s", kid)
	}
	if enc, ok := site.EncKey(goldenEncKID); !ok || !enc.PublicKey.Equal(site.Public().Enc[0].Key) {
		t.Error("no private key for the public one")
	}
	if _, ok := site.EncKey(goldenSigKID); ok {
		t.Error("a signing key opens")
	}
}

// The public values of SECURITY's worked example, whose thumbprints and fingerprint another program computed.
func TestFingerprintKnownAnswer(t *testing.T) {
	peer, err := ParsePeer([]byte(`{"hoft":1,"id":"0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77","name":"site-a","keys":[
 {"kty":"OKP","crv":"Ed25519","use":"sig","alg":"EdDSA","kid":"MBLRu7RCpwr3UaoAacvYFoGhr7Deene6RHHj_FDfEbo",
  "x":"UujzNwlRDtokq-VD1V41-u_xWVaRABwYOw7xL9d0ouY"},
 {"kty":"EC","crv":"P-256","use":"enc","alg":"ECDH-ES","kid":"UlVGkNCJ508l_5Rru6HzdnNcisHvKz7TexJg9c3L6U0",
  "x":"nYgg_3EClc3XRdxELBS1BBXWFEkDQNO7cMTbIHjKQG0","y":"35Aej_FSMsi0FyZgvnT8GwnVELij7lIwdDoqdHs-1ns"}]}`), "example")
	if err != nil {
		t.Fatal(err)
	}
	const want = "xrxe ktc4 ne4b swj2 m4tx mcur 2i7j chja"
	if got := peer.Fingerprint(); got != want {
		t.Errorf("fingerprint %q, want %q", got, want)
	}
	peer.Sig, peer.Enc = append(peer.Sig, generate(t, "x").Public().Sig...), nil
	if peer.Fingerprint() == want {
		t.Error("other keys, same fingerprint")
	}
	for typed, same := range map[string]bool{
		want: true, "XRXE-KTC4 ne4bswj2m4txmcur2i7jchja\t": true, "": false, " ": false, want + "a": false, want[:38] + "b": false,
	} {
		if SameFingerprint(typed, want) != same {
			t.Errorf("SameFingerprint(%q) is %v", typed, !same)
		}
	}
	if SameFingerprint("", "") {
		t.Error("nothing is the same as nothing")
	}
}

func TestGenerateCreateLoad(t *testing.T) {
	dir, site := stateOf(t, "site-a")
	got, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.encode(), site.encode()) {
		t.Error("what was loaded is not what was made")
	}
	if v := uuid.UUID(site.ID()).Version(); v != 7 {
		t.Errorf("id of version %d", v)
	}
	if other := generate(t, "site-a"); other.ID() == site.ID() || other.Fingerprint() == site.Fingerprint() {
		t.Error("two sites are one")
	}
	before := site.encode()
	if err := generate(t, "site-b").Create(dir); !errors.Is(err, ErrExists) {
		t.Errorf("overwrote: %v", err)
	}
	if after, _ := os.ReadFile(Path(dir)); !bytes.Equal(before, after) {
		t.Error("a refused Create changed the file")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left over in the folder: %v, %v", entries, err)
	}
}

func TestSaveReplaces(t *testing.T) {
	dir, _ := stateOf(t, "site-a")
	next := generate(t, "site-a")
	if err := next.Save(dir); err != nil {
		t.Fatal(err)
	}
	got, err := Load(dir)
	if err != nil || got.ID() != next.ID() {
		t.Fatalf("%v, %v", got, err)
	}
	if err := next.Save(filepath.Join(dir, "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("saved into nothing: %v", err)
	}
}

func TestLoadOfNothing(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none"))
	if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "hoft keys gen") {
		t.Errorf("%v", err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(Path(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); !errors.Is(err, ErrFormat) {
		t.Errorf("a folder in place of the file: %v", err)
	}
}

func TestNames(t *testing.T) {
	for name, good := range map[string]bool{
		"a": true, "site-a": true, "Site_1.b": true, strings.Repeat("a", 63): true,
		"": false, "-a": false, ".": false, "..": false, "a b": false, "a/b": false, "a\n": false, "ä": false, "a\x00": false, strings.Repeat("a", 64): false,
	} {
		if err := CheckName(name); (err == nil) != good {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
		if _, err := Generate(name); (err == nil) != good || !good && !errors.Is(err, ErrName) {
			t.Errorf("Generate(%q): %v", name, err)
		}
	}
}

// retiredKeys gives the golden site a newer key of each use, as a rotation leaves it.
func retiredKeys(t testing.TB) []byte {
	t.Helper()
	text := string(golden(t, "identity.jwks"))
	text = strings.Replace(text, goldenSigKID+`",`, goldenSigKID+`","retired":1763798401,`, 1)
	text = strings.Replace(text, goldenEncKID+`",`, goldenEncKID+`","retired":1763798402,`, 1)
	fresh := string(generate(t, "new").encode())
	keys := fresh[strings.Index(fresh, "[")+1 : strings.LastIndex(fresh, "]")]
	return []byte(strings.Replace(text, `"keys":[`, `"keys":[`+keys+",", 1))
}

func TestRetiredKeysStillOpen(t *testing.T) {
	site, err := ParseSite(retiredKeys(t), "identity.jwks")
	if err != nil {
		t.Fatal(err)
	}
	if kid, _ := site.SigKey(); kid == goldenSigKID {
		t.Error("signs with the retired key")
	}
	if site.Public().Enc[0].KID == goldenEncKID {
		t.Error("the retired key is offered first")
	}
	old, ok := site.EncKey(goldenEncKID)
	if !ok {
		t.Fatal("the retired key opens nothing")
	}
	if _, err := old.ECDH(); err != nil {
		t.Errorf("no ECDH key: %v", err)
	}
	keys := site.Keys()
	if len(keys) != 4 || keys[1].KID != goldenSigKID || keys[1].Retired.Unix() != 1763798401 || keys[3].Retired.Unix() != 1763798402 || !keys[0].Retired.IsZero() {
		t.Errorf("%+v", keys)
	}
	again, err := ParseSite(site.encode(), "identity.jwks")
	if err != nil || !bytes.Equal(again.encode(), site.encode()) {
		t.Errorf("does not survive a round trip: %v", err)
	}
	if _, err := ParsePeer(site.Public().Encode(), "public"); err != nil {
		t.Errorf("the public form is refused: %v", err)
	}
}

func TestSiteShowsNoKey(t *testing.T) {
	site, err := ParseSite(golden(t, "identity.jwks"), "identity.jwks")
	if err != nil {
		t.Fatal(err)
	}
	holder := struct{ s *Site }{site}
	var shown strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		fmt.Fprintf(&shown, verb+verb, site, holder)
	}
	_, seed := site.SigKey()
	key, _ := site.EncKey(goldenEncKID)
	d, _ := key.Bytes()
	for _, secret := range [][]byte{seed.Seed(), d} {
		for _, form := range []string{string(secret), b64(secret), fmt.Sprintf("%x", secret), strings.Trim(fmt.Sprint(secret), "[]")} {
			if strings.Contains(shown.String(), form) {
				t.Fatalf("a private key was printed: %s", shown.String())
			}
		}
	}
	if _, err := site.MarshalJSON(); err == nil {
		t.Error("a site became JSON")
	}
	var none *Site
	if got := fmt.Sprintf("%v", none); got != "<nil>" {
		t.Errorf("nil prints %q", got)
	}
}

// Both halves must be what crypto/ecdh understands, since the sealing library goes that way.
func TestEncryptionKeysAgree(t *testing.T) {
	a, b := generate(t, "a"), generate(t, "b")
	shared := func(own *Site, peer *Peer) []byte {
		priv, _ := own.EncKey(own.Public().Enc[0].KID)
		mine, err := priv.ECDH()
		if err != nil {
			t.Fatal(err)
		}
		enc, ok := peer.EncKey()
		if !ok {
			t.Fatal("no key")
		}
		theirs, err := enc.Key.ECDH()
		if err != nil {
			t.Fatal(err)
		}
		if theirs.Curve() != ecdh.P256() {
			t.Fatal("not P-256")
		}
		out, err := mine.ECDH(theirs)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if !bytes.Equal(shared(a, b.Public()), shared(b, a.Public())) {
		t.Error("the two sides do not agree on a secret")
	}
}
