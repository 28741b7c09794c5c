package vectors

import (
	"bytes"
	"crypto/aes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
	josecipher "github.com/go-jose/go-jose/v4/cipher"
)

// Only what go-jose implements itself, and hoft relies on, is tested here. AES-GCM, HMAC, HKDF and
// Ed25519 are Go's own, are tested against these vectors there, and are not wrapped by hoft.

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestKeyWrap tests AES key wrap (RFC 3394) with 256-bit keys, which the pre-shared secret mode uses.
func TestKeyWrap(t *testing.T) {
	var d struct {
		TestGroups []struct {
			KeySize int
			Tests   []struct {
				TcID                          int
				Comment, Key, Msg, Ct, Result string
			}
		}
	}
	load(t, "aes_wrap_test.json", &d)
	valid, invalid := 0, 0
	for _, g := range d.TestGroups {
		if g.KeySize != 256 {
			continue
		}
		for _, c := range g.Tests {
			block, err := aes.NewCipher(unhex(t, c.Key))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := josecipher.KeyUnwrap(block, unhex(t, c.Ct))
			if c.Result != "valid" {
				invalid++
				// A key must have the 32 bytes of A256GCM: hoft checks the length before.
				if err == nil && len(plain) == 32 {
					t.Errorf("%d (%s): unwrapped", c.TcID, c.Comment)
				}
				continue
			}
			valid++
			if err != nil || !bytes.Equal(plain, unhex(t, c.Msg)) {
				t.Errorf("%d (%s): %x, %v", c.TcID, c.Comment, plain, err)
			}
			if ct, err := josecipher.KeyWrap(block, unhex(t, c.Msg)); err != nil || !bytes.Equal(ct, unhex(t, c.Ct)) {
				t.Errorf("%d (%s): wrapped to %x, %v", c.TcID, c.Comment, ct, err)
			}
		}
	}
	if valid < 5 || invalid < 20 {
		t.Errorf("%d valid and %d invalid tests: look at what changed", valid, invalid)
	}
}

// TestECDH tests key agreement on P-256 with the JWK reader in front of it, as an epk goes.
func TestECDH(t *testing.T) {
	var d struct {
		TestGroups []struct {
			Tests []struct {
				TcID            int
				Comment         string
				Public, Private json.RawMessage
				Shared, Result  string
			}
		}
	}
	load(t, "ecdh_secp256r1_webcrypto_test.json", &d)
	valid, invalid := 0, 0
	for _, g := range d.TestGroups {
		for _, c := range g.Tests {
			got := agree(t, c.Public, c.Private)
			if c.Result == "invalid" {
				invalid++
				if got != nil {
					t.Errorf("%d (%s): agreed", c.TcID, c.Comment)
				}
				continue
			}
			valid++
			if want := concatKDF(unhex(t, c.Shared)); !bytes.Equal(got, want) {
				t.Errorf("%d (%s): %x, want %x", c.TcID, c.Comment, got, want)
			}
		}
	}
	if valid < 100 || invalid < 10 {
		t.Errorf("%d valid and %d invalid tests: look at what changed", valid, invalid)
	}
}

// agree derives the content key, or gives nil when a key is refused.
func agree(t *testing.T, public, private json.RawMessage) []byte {
	t.Helper()
	var pub, priv jose.JSONWebKey
	if err := json.Unmarshal(private, &priv); err != nil {
		return nil
	}
	if err := json.Unmarshal(public, &pub); err != nil {
		return nil
	}
	p, ok := pub.Key.(*ecdsa.PublicKey)
	s, ok2 := priv.Key.(*ecdsa.PrivateKey)
	if !ok || !ok2 || p.Curve != elliptic.P256() || s.Curve != elliptic.P256() {
		return nil
	}
	return josecipher.DeriveECDHES("A256GCM", nil, nil, s, p, 32)
}

// concatKDF is RFC 7518 section 4.6.2 for A256GCM without party information.
func concatKDF(z []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, 1)
	b = append(b, z...)
	b = binary.BigEndian.AppendUint32(b, 7)
	b = append(b, "A256GCM"...)
	b = append(b, make([]byte, 8)...)
	b = binary.BigEndian.AppendUint32(b, 256)
	h := sha256.Sum256(b)
	return h[:]
}
