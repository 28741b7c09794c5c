package vectors

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
)

// disagreement is a test on which go-jose 4.1.8 and Wycheproof differ, and why that is harmless here.
type disagreement map[int]string

// TestLibraryEncryption decrypts with the algorithms pinned to those of the key and the test.
func TestLibraryEncryption(t *testing.T) {
	run(t, "json_web_encryption_test.json", disagreement{
		132: "the vector calls a key for dir one for A128GCM",
	})
}

// TestLibrarySignature verifies with the algorithm pinned to that of the key.
func TestLibrarySignature(t *testing.T) {
	const salt = "go-jose takes any salt length of RSA-PSS; hoft never lists PS256"
	run(t, "json_web_signature_test.json", disagreement{
		281: salt, 282: salt, 283: salt, 284: salt, 285: salt, 286: salt,
		346: "the vector calls a key for PS384 one for PS256", 350: "as 346",
		347: "the vector writes ES521 for ES512", 351: "as 347",
		367: "the token is byte for byte the one of the valid test 357", 370: "as 367",
		372: "the vector holds a token valid that has a ? inside; go-jose and hoft refuse it", 373: "as 372",
		374: "go-jose ignores spare bits; hoft refuses them before (vector signature-spare-bits)",
	})
}

// TestLibraryCrypto is both.
func TestLibraryCrypto(t *testing.T) {
	run(t, "json_web_crypto_test.json", disagreement{
		47: "go-jose takes a key set that mixes symmetric and public keys; hoft never gives it a set",
		46: "go-jose does not look for weak RSA keys (ROCA); hoft has no RSA keys",
	})
}

func run(t *testing.T, name string, known disagreement) {
	eachJOSE(t, name, func(g *group, c *test) {
		err := accept(g, c)
		agrees := (err == nil) == (c.Result == "valid")
		switch why, listed := known[c.TcID]; {
		case !agrees && !listed:
			t.Errorf("%s %d (%s: %s) is %s, the library says: %v", name, c.TcID, g.Comment, c.Comment, c.Result, err)
		case agrees && listed:
			t.Errorf("%s %d (%s) is listed as a disagreement (%s), and is none", name, c.TcID, c.Comment, why)
		}
	})
}

// accept gives nil when the library takes the token with the group's key and its algorithm alone.
func accept(g *group, c *test) error {
	jwks, err := keys(g, c)
	if err != nil {
		return err
	}
	if c.Jws != "" {
		return verify(jwks, string(c.Jws))
	}
	jwk := jwks.Keys[0]
	enc := []jose.ContentEncryption{jose.ContentEncryption(c.Enc)}
	if c.Enc == "" {
		enc = []jose.ContentEncryption{jose.A128CBC_HS256, jose.A256CBC_HS512, jose.A128GCM, jose.A256GCM}
	}
	obj, err := jose.ParseEncryptedCompact(string(c.Jwe), []jose.KeyAlgorithm{jose.KeyAlgorithm(jwk.Algorithm)}, enc)
	if err != nil {
		return err
	}
	plain, err := obj.Decrypt(jwk.Key)
	if err == nil && c.Pt != "" && hex.EncodeToString(plain) != c.Pt {
		return errPlaintext
	}
	return err
}

var errPlaintext = errors.New("another plaintext came out")

// keys gives the key or keys that a test is to be opened with.
func keys(g *group, c *test) (set jose.JSONWebKeySet, err error) {
	text := g.Public
	if c.Jwe != "" || text == nil {
		text = g.Private
	}
	if json.Unmarshal(text, &set) == nil && len(set.Keys) > 0 {
		return set, nil
	}
	set.Keys = make([]jose.JSONWebKey, 1)
	return set, json.Unmarshal(text, &set.Keys[0])
}

func verify(set jose.JSONWebKeySet, token string) error {
	var algs []jose.SignatureAlgorithm
	for _, k := range set.Keys {
		algs = append(algs, jose.SignatureAlgorithm(k.Algorithm))
	}
	obj, err := jose.ParseSignedCompact(token, algs)
	if err != nil {
		return err
	}
	if len(set.Keys) == 1 {
		_, err = obj.Verify(set.Keys[0].Key)
		return err
	}
	_, err = obj.Verify(set)
	return err
}
