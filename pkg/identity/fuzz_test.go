package identity

import (
	"bytes"
	"errors"
	"testing"
)

// FuzzParseSite: what is accepted has one spelling that is read again as the same; what is refused is refused with a type.
func FuzzParseSite(f *testing.F) {
	f.Add(golden(f, "identity.jwks"))
	f.Add(golden(f, "public.jwks"))
	f.Add(retiredKeys(f))
	f.Add([]byte(`{"hoft":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		site, err := ParseSite(data, "f")
		if err != nil {
			checkTyped(t, err)
			return
		}
		again, err := ParseSite(site.encode(), "f")
		if err != nil || !bytes.Equal(again.encode(), site.encode()) {
			t.Fatalf("does not survive a round trip: %v", err)
		}
		if kid, key := site.SigKey(); kid == "" || len(key) == 0 {
			t.Fatal("no key to sign with")
		}
		if _, ok := site.EncKey(site.Public().Enc[0].KID); !ok {
			t.Fatal("cannot open what is encrypted to it")
		}
	})
}

// FuzzParsePeer: as FuzzParseSite, and no private key is ever accepted. A pre-shared secret is refused, or is what was written.
func FuzzParsePeer(f *testing.F) {
	f.Add(golden(f, "public.jwks"))
	f.Add(golden(f, "identity.jwks"))
	f.Add([]byte(`{"hoft":1,"id":"0199d1c2-6f0e-7c41-9b0a-5d1f0c8e2a77","name":"a","keys":[{"kty":"EC"}]}`))
	f.Add([]byte("hoft-psk-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n"))
	f.Add([]byte("hoft-psk-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if psk, err := ParsePSK(data, "f"); err != nil {
			checkTyped(t, err)
		} else if !bytes.HasPrefix(data, bytes.TrimSpace(psk.Encode())) {
			t.Fatal("a secret is not what was written")
		}
		peer, err := ParsePeer(data, "f")
		if err != nil {
			checkTyped(t, err)
			return
		}
		if bytes.Contains(data, []byte(`"d":"`)) {
			t.Fatal("accepted a private key")
		}
		again, err := ParsePeer(peer.Encode(), "f")
		if err != nil || again.Fingerprint() != peer.Fingerprint() {
			t.Fatalf("does not survive a round trip: %v", err)
		}
		if len(peer.Sig) == 0 || len(peer.Enc) == 0 || len(peer.Sig) > MaxKeysPerUse || len(peer.Enc) > MaxKeysPerUse {
			t.Fatalf("%d and %d keys", len(peer.Sig), len(peer.Enc))
		}
	})
}

func checkTyped(t *testing.T, err error) {
	t.Helper()
	var file *FileError
	if !errors.As(err, &file) || file.File != "f" || file.Mend == "" {
		t.Fatalf("no file or no mend: %v", err)
	}
}
