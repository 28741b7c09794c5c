package seal_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hoft/hoft/pkg/seal"
	"github.com/hoft/hoft/pkg/seal/internal/forge"
)

func TestInspectWithoutKeys(t *testing.T) {
	w := newWorld(t)
	line := w.line(t, 10)
	out := seal.Inspect(append(bytes.Clone(line), '\n'))
	sum := 4
	for _, n := range out.Parts {
		sum += n
	}
	if out.Err != nil || out.Bytes != len(line) || sum != len(line) || out.Kid != w.b.EncKid || out.Alg != "ECDH-ES" || out.Enc != "A256GCM" || out.PSK {
		t.Errorf("public keys: %+v", out)
	}
	p := newPSKWorld(t, testPSK)
	if out = seal.Inspect(p.line(t, 10)); out.Err != nil || out.Kid != p.sealer.Rkt() || !out.PSK || out.Parts[1] != 54 {
		t.Errorf("pre-shared secret: %+v", out)
	}
	if out = seal.Inspect(line[:len(line)/2]); out.Bytes != len(line)/2 {
		t.Errorf("cut: %+v", out)
	} else {
		refused(t, out.Err, seal.Charset)
	}
	zip := forge.JWE(w.b.Enc.PublicKey(), func(epk string) string {
		return strings.Replace(forge.Outer(w.b.EncKid, epk), `"typ"`, `"zip":"DEF","typ"`, 1)
	}, nil)
	out = seal.Inspect(zip)
	if e := refused(t, out.Err, seal.Charset); !strings.Contains(e.Detail, "empty") {
		t.Errorf("empty ciphertext: %+v", e)
	}
	other := forge.JWE(w.b.Enc.PublicKey(), func(epk string) string {
		return strings.Replace(forge.Outer(w.b.EncKid, epk), "A256GCM", "A128GCM", 1)
	}, []byte("x"))
	out = seal.Inspect(other)
	refused(t, out.Err, seal.Header)
	if out.Enc != "A128GCM" || out.Kid != w.b.EncKid {
		t.Errorf("a header that is refused is shown all the same: %+v", out)
	}
}

func TestInspectWithKeys(t *testing.T) {
	w := newWorld(t)
	line := w.line(t, 10)
	out := w.opener.Inspect(w.name, append(bytes.Clone(line), '\n'))
	if out.Err != nil || out.Claims == nil || out.SigKid != w.a.SigKid || out.SigAlg != "EdDSA" || out.Kid != w.b.EncKid || out.Parts[3] == 0 {
		t.Errorf("good line: %+v", out)
	}
	name := w.name
	name.Seq++
	out = w.opener.Inspect(name, line)
	if e := refused(t, out.Err, seal.Claims); e.Check != 10 || out.Claims != nil || out.SigKid != w.a.SigKid {
		t.Errorf("renamed: %+v", out)
	}
	name = w.name
	name.Recipient = w.c.ID
	out = w.opener.Inspect(name, line)
	if e := refused(t, out.Err, seal.Name); e.Check != 1 || out.Kid != w.b.EncKid {
		t.Errorf("wrong recipient: %+v", out)
	}
	stranger := newOpener(t, self(t, w.c), peer(t, w.a))
	name.Recipient = w.c.ID
	out = stranger.Inspect(name, line)
	if e := refused(t, out.Err, seal.Decrypt); e.Check != 7 || !strings.Contains(e.Detail, w.b.EncKid) {
		t.Errorf("unknown key: %+v", e)
	}
	if s := out.Err.Error(); strings.Contains(s, w.b.EncKid) || s != "line refused: decrypt" {
		t.Errorf("the outward text says more than the reason: %q", s)
	}
}

// TestNoSecrets seals with a canary in the claims and looks for it, and for every key, in what refusals say.
func TestNoSecrets(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		const canary = "canary-of-the-plaintext"
		keys := []string{
			string(testPSK), forge.B64(testPSK), string(w.b.Enc.Bytes()), forge.B64(w.b.Enc.Bytes()),
			string(w.a.Sig.Seed()), forge.B64(w.a.Sig.Seed()), canary,
		}
		right := string(w.claims(0, 1, 0))
		for _, claims := range []string{
			strings.Replace(right, `"iat":1763798401`, `"iat":"`+canary+`"`, 1),
			strings.Replace(right, `"method":"GET"`, `"method":"`+canary+"\xff\"", 1),
			strings.Replace(right, `"body":"`, `"body":"`+canary+`=`, 1),
			strings.Replace(right, `"kind":"req"`, `"kind":"`+canary+`"`, 1),
			strings.Replace(right, `"seq":`, `"phs":"`+canary+`","seq":`, 1),
			strings.Replace(right, `{"v":1,`, canary, 1),
			canary,
		} {
			if claims == right {
				t.Fatal("nothing was changed")
			}
			line, err := w.sealer.Seal(nil, []byte(claims))
			if err != nil {
				t.Fatal(err)
			}
			out := w.opener.Inspect(w.name, line)
			e := refused(t, out.Err, seal.Claims)
			for _, k := range keys {
				if strings.Contains(e.Error()+e.Detail, k) {
					t.Errorf("a refusal repeats %q: %s", k, e.Detail)
				}
			}
		}
	})
}
