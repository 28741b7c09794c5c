package seal

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"testing"
)

// TestThumbprint compares with RFC 8037 appendix A.3 and with a pair of keys whose thumbprints two
// implementations agreed on.
func TestThumbprint(t *testing.T) {
	raw := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for x, want := range map[string]string{
		"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
		"UujzNwlRDtokq-VD1V41-u_xWVaRABwYOw7xL9d0ouY": "MBLRu7RCpwr3UaoAacvYFoGhr7Deene6RHHj_FDfEbo",
	} {
		if got, err := thumbprint(ed25519.PublicKey(raw(x))); err != nil || got != want {
			t.Errorf("Ed25519 %s: %s, %v, want %s", x, got, err, want)
		}
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4},
		raw("nYgg_3EClc3XRdxELBS1BBXWFEkDQNO7cMTbIHjKQG0")...), raw("35Aej_FSMsi0FyZgvnT8GwnVELij7lIwdDoqdHs-1ns")...))
	if err != nil {
		t.Fatal(err)
	}
	const want = "UlVGkNCJ508l_5Rru6HzdnNcisHvKz7TexJg9c3L6U0"
	if got, err := thumbprint(pub); err != nil || got != want {
		t.Errorf("P-256: %s, %v, want %s", got, err, want)
	}
}
