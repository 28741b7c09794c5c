package vectors

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/seal"
)

var (
	me, sender = identity.ID{1}, identity.ID{2}
	name       = frame.Name{Recipient: me, Sender: sender, Seq: 1763798400123001, Ext: frame.ExtFrame}
)

func thumbprint(t *testing.T, key any) string {
	t.Helper()
	b, err := (&jose.JSONWebKey{Key: key}).Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// TestOpenerRefusesAll gives every token of the corpus, valid or not, to hoft's opener, as a line and
// signed ones also as the inner token of a line that is sealed as it should be. None is one of ours. The
// opener holds the P-256 keys of the corpus, so that it is not for want of a key.
func TestOpenerRefusesAll(t *testing.T) {
	enc := map[string]*ecdsa.PrivateKey{}
	total := 0
	for name := range joseFiles {
		eachJOSE(t, name, func(g *group, c *test) {
			total++
			for _, k := range p256(g) {
				enc[thumbprint(t, &k.PublicKey)] = k
			}
		})
	}
	if total != 649 || len(enc) < 3 {
		t.Fatalf("%d tokens and %d keys, want 649 and some", total, len(enc))
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ownKid := thumbprint(t, &own.PublicKey)
	enc[ownKid] = own
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	self := seal.Self{ID: me, Enc: enc}
	keys, err := seal.NewOpener(self, []seal.Peer{{ID: sender, Sig: map[string]ed25519.PublicKey{thumbprint(t, pub): pub}}})
	if err != nil {
		t.Fatal(err)
	}
	psk, err := seal.NewOpener(self, []seal.Peer{{ID: sender, PSK: make([]byte, seal.PSKSize)}})
	if err != nil {
		t.Fatal(err)
	}
	crypt, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.ECDH_ES, Key: &own.PublicKey, KeyID: ownKid},
		(&jose.EncrypterOptions{}).WithType("hoft-frame+jwt").WithContentType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	for file := range joseFiles {
		eachJOSE(t, file, func(g *group, c *test) {
			line := []byte(c.Jwe + c.Jws)
			refuse(t, keys, file, c, line, seal.Charset, seal.Header)
			refuse(t, psk, file, c, line, seal.Charset, seal.Header)
			if c.Jws == "" {
				return
			}
			obj, err := crypt.Encrypt(line)
			if err != nil {
				t.Fatal(err)
			}
			outer, err := obj.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			refuse(t, keys, file, c, []byte(outer), seal.Signature)
		})
	}
}

func refuse(t *testing.T, o *seal.Opener, file string, c *test, line []byte, want ...seal.Reason) {
	t.Helper()
	_, err := o.Line(name, line)
	var e *seal.Error
	if !errors.As(err, &e) {
		t.Errorf("%s %d (%s): opened", file, c.TcID, c.Comment)
		return
	}
	for _, r := range want {
		if e.Reason == r {
			return
		}
	}
	t.Errorf("%s %d (%s): refused at check %d for %s (%s), want %v", file, c.TcID, c.Comment, e.Check, e.Reason, e.Detail, want)
}

// p256 gives the private P-256 keys of a group.
func p256(g *group) []*ecdsa.PrivateKey {
	var set jose.JSONWebKeySet
	if json.Unmarshal(g.Private, &set) != nil || len(set.Keys) == 0 {
		var k jose.JSONWebKey
		if json.Unmarshal(g.Private, &k) != nil {
			return nil
		}
		set.Keys = []jose.JSONWebKey{k}
	}
	var out []*ecdsa.PrivateKey
	for _, k := range set.Keys {
		if p, ok := k.Key.(*ecdsa.PrivateKey); ok && p.Curve == elliptic.P256() {
			out = append(out, p)
		}
	}
	return out
}
