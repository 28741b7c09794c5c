package identity

import (
	"crypto/elliptic"
	"errors"
	"math/big"
	"strings"
	"testing"
)

// refusal is one edit of a good key file and the reason it must be refused for.
type refusal struct {
	name     string
	old, new string // the first occurrence is replaced; old "" : new is the whole file
	want     error
}

const (
	goldenSigX = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
	goldenSigD = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
	goldenEncX = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
	goldenEncY = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
	goldenEncD = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"
)

// bothRefusals hold for identity files and for peer files.
var bothRefusals = []refusal{
	{"empty file", "", " ", ErrFormat},
	{"cut", "]}\n", "", ErrFormat},
	{"an array", "", "[]", ErrFormat},
	{"null", "", "null", ErrVersion},
	{"trailing garbage", "]}\n", "]}\nx", ErrFormat},
	{"a second value", "]}\n", "]}\n{}", ErrFormat},
	{"duplicate member", `"name":"site-a"`, `"name":"site-a","name":"site-a"`, ErrFormat},
	{"duplicate member in a key", `"use":"sig"`, `"use":"sig","use":"sig"`, ErrFormat},
	{"unknown member", `"name":`, `"nick":"x","name":`, ErrFormat},
	{"unknown member in a key", `"use":"sig"`, `"use":"sig","key_ops":["sign"]`, ErrFormat},
	{"member in other case", `"kty":"OKP"`, `"Kty":"OKP"`, ErrFormat},
	{"member of another type", `"hoft":1`, `"hoft":"1"`, ErrFormat},
	{"bad UTF-8", `"site-a"`, "\"site-\xff\"", ErrFormat},
	{"too long", "", `{"hoft":1,` + strings.Repeat(" ", maxFile) + "}", ErrFormat},
	{"no version", `"hoft":1,`, ``, ErrVersion},
	{"later version", `"hoft":1`, `"hoft":2`, ErrVersion},
	{"no id", `"id":"` + goldenID + `",`, ``, ErrID},
	{"zero id", goldenID, "00000000-0000-0000-0000-000000000000", ErrID},
	{"id in upper case", goldenID, strings.ToUpper(goldenID), ErrID},
	{"no name", `"name":"site-a",`, ``, ErrName},
	{"name with a line end", `"site-a"`, `"site\na"`, ErrName},
	{"no keys", "", `{"hoft":1,"id":"` + goldenID + `","name":"site-a","keys":[]}`, ErrNoKey},
	{"keys absent", "", `{"hoft":1,"id":"` + goldenID + `","name":"site-a"}`, ErrNoKey},
	{"unknown kty", `"kty":"OKP"`, `"kty":"RSA"`, ErrKeyType},
	{"no kty", `"kty":"OKP",`, ``, ErrKeyType},
	{"unknown crv", `"crv":"P-256"`, `"crv":"P-384"`, ErrKeyType},
	{"X25519", `"crv":"Ed25519"`, `"crv":"X25519"`, ErrKeyType},
	{"kty and crv crossed", `"crv":"Ed25519"`, `"crv":"P-256"`, ErrKeyType},
	{"no use", `"use":"sig",`, ``, ErrUse},
	{"unknown use", `"use":"sig"`, `"use":"both"`, ErrUse},
	{"signing key to encrypt", `"use":"sig"`, `"use":"enc"`, ErrUse},
	{"encryption key to sign", `"use":"enc"`, `"use":"sig"`, ErrUse},
	{"no alg", `"alg":"EdDSA",`, ``, ErrUse},
	{"alg of the other use", `"alg":"EdDSA"`, `"alg":"ECDH-ES"`, ErrUse},
	{"fully specified alg", `"alg":"EdDSA"`, `"alg":"Ed25519"`, ErrUse},
	{"other ECDH alg", `"alg":"ECDH-ES"`, `"alg":"ECDH-ES+A256KW"`, ErrUse},
	{"no kid", `"kid":"` + goldenSigKID + `",`, ``, ErrKeyID},
	{"wrong kid", goldenSigKID, goldenEncKID, ErrKeyID},
	{"wrong kid of the encryption key", goldenEncKID, goldenSigKID, ErrKeyID},
	{"padded kid", goldenSigKID, goldenSigKID + "=", ErrKeyID},
	{"short x", goldenSigX, goldenSigX[:42], ErrKeyValue},
	{"spare bits in x", goldenSigX, goldenSigX[:42] + "p", ErrKeyValue},
	{"line end in x", goldenSigX, goldenSigX[:20] + `\n` + goldenSigX[20:], ErrKeyValue},
	{"padding in x", goldenSigX, goldenSigX + "=", ErrKeyValue},
	{"other alphabet", goldenEncY, strings.ReplaceAll(goldenEncY, "_", "/"), ErrKeyValue},
	{"y in an Ed25519 key", `"x":"` + goldenSigX + `"`, `"x":"` + goldenSigX + `","y":"` + goldenSigX + `"`, ErrKeyValue},
	{"no y", `,"y":"` + goldenEncY + `"`, ``, ErrKeyValue},
	{"no x", `"x":"` + goldenEncX + `",`, ``, ErrKeyValue},
	{"off the curve", goldenEncY, goldenEncX, ErrKeyValue},
	{"x beyond the field", goldenEncX, b64(elliptic.P256().Params().P.Bytes()), ErrKeyValue},
	{"the point at infinity", `"x":"` + goldenEncX + `","y":"` + goldenEncY + `"`, `"x":"` + b64(make([]byte, 32)) + `","y":"` + b64(make([]byte, 32)) + `"`, ErrKeyValue},
}

var siteRefusals = []refusal{
	{"no d", `,"d":"` + goldenSigD + `"`, ``, ErrNotPrivate},
	{"no d in the encryption key", `,"d":"` + goldenEncD + `"`, ``, ErrNotPrivate},
	{"short d", goldenSigD, goldenSigD[:42], ErrKeyValue},
	{"d of another key", goldenSigD, goldenEncD, ErrKeyValue},
	{"d of another encryption key", goldenEncD, goldenSigD, ErrKeyValue},
	{"d zero", goldenEncD, b64(make([]byte, 32)), ErrKeyValue},
	{"d beyond the order", goldenEncD, b64(new(big.Int).Add(elliptic.P256().Params().N, big.NewInt(1)).Bytes()), ErrKeyValue},
	{"only a retired key", `"use":"sig"`, `"use":"sig","retired":1763798401`, ErrNoKey},
	{"retired never", `"use":"sig"`, `"use":"sig","retired":0`, ErrFormat},
	{"retired beyond the calendar", `"use":"sig"`, `"use":"sig","retired":253402300800`, ErrFormat},
	{"retired as text", `"use":"sig"`, `"use":"sig","retired":"` + goldenSigD + `"`, ErrFormat},
}

var peerRefusals = []refusal{
	{"private key", `"x":"` + goldenSigX + `"`, `"x":"` + goldenSigX + `","d":"` + goldenSigD + `"`, ErrPrivate},
	{"private encryption key", `"y":"` + goldenEncY + `"`, `"y":"` + goldenEncY + `","d":"` + goldenEncD + `"`, ErrPrivate},
	{"empty d", `"x":"` + goldenSigX + `"`, `"x":"` + goldenSigX + `","d":""`, ErrPrivate},
	{"retired", `"use":"sig"`, `"use":"sig","retired":1763798401`, ErrFormat},
}

func TestIdentityFileRefusals(t *testing.T) {
	good := string(golden(t, "identity.jwks"))
	parse := func(data []byte) error { _, err := ParseSite(data, "f.jwks"); return err }
	checkRefusals(t, good, bothRefusals, parse)
	checkRefusals(t, good, siteRefusals, parse)
}

func TestPeerFileRefusals(t *testing.T) {
	good := string(golden(t, "public.jwks"))
	parse := func(data []byte) error { _, err := ParsePeer(data, "f.jwks"); return err }
	checkRefusals(t, good, bothRefusals, parse)
	checkRefusals(t, good, peerRefusals, parse)
}

func checkRefusals(t *testing.T, good string, cases []refusal, parse func([]byte) error) {
	t.Helper()
	if err := parse([]byte(good)); err != nil {
		t.Fatalf("the good file: %v", err)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			text := c.new
			if c.old != "" {
				if text = strings.Replace(good, c.old, c.new, 1); text == good {
					t.Fatal("the edit changes nothing")
				}
			}
			checkRefusal(t, parse([]byte(text)), c.want)
		})
	}
}

// checkRefusal demands the reason, a mend, the file's name, and no private key in the text.
func checkRefusal(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
	var file *FileError
	if !errors.As(err, &file) || file.File != "f.jwks" || file.Mend == "" || !strings.HasPrefix(err.Error(), "f.jwks: ") {
		t.Errorf("no file or no mend: %v", err)
	}
	for _, secret := range []string{goldenSigD[:10], goldenEncD[:10]} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("shows a private key: %v", err)
		}
	}
}

// keysOfText cuts the key list out of a key file.
func keysOfText(text []byte) string {
	s := string(text)
	return s[strings.Index(s, "[")+1 : strings.LastIndex(s, "]")]
}

func TestKeyCounts(t *testing.T) {
	own, public := string(golden(t, "identity.jwks")), string(golden(t, "public.jwks"))
	with := func(text, keys string) []byte {
		return []byte(strings.Replace(text, `"keys":[`, `"keys":[`+keys+",", 1))
	}
	parseSite := func(data []byte) error { _, err := ParseSite(data, "f.jwks"); return err }
	parsePeer := func(data []byte) error { _, err := ParsePeer(data, "f.jwks"); return err }

	checkRefusal(t, parseSite(with(own, keysOfText([]byte(own)))), ErrDuplicateKey)
	checkRefusal(t, parsePeer(with(public, keysOfText([]byte(public)))), ErrDuplicateKey)

	other := generate(t, "other")
	checkRefusal(t, parseSite(with(own, keysOfText(other.encode()))), ErrFormat) // two current keys
	sigOnly := strings.SplitAfter(keysOfText(other.Public().Encode()), "},")[0]
	noEnc := `{"hoft":1,"id":"` + goldenID + `","name":"x","keys":[` + strings.TrimSuffix(sigOnly, ",") + `]}`
	checkRefusal(t, parsePeer([]byte(noEnc)), ErrNoKey)

	for n := 1; n < MaxKeysPerUse; n++ {
		public = string(with(public, keysOfText(generate(t, "x").Public().Encode())))
	}
	if err := parsePeer([]byte(public)); err != nil {
		t.Fatalf("%d keys of each use: %v", MaxKeysPerUse, err)
	}
	checkRefusal(t, parsePeer(with(public, strings.TrimSuffix(sigOnly, ","))), ErrTooMany)
}

// A peer file with a private key names the mend that matters: that key is burnt.
func TestPrivateKeyInPeerFileMend(t *testing.T) {
	_, err := ParsePeer(golden(t, "identity.jwks"), "f.jwks")
	checkRefusal(t, err, ErrPrivate)
	if !strings.Contains(err.Error(), "delete it here") {
		t.Errorf("mend: %v", err)
	}
}

func TestFormatErrorsNameTheLine(t *testing.T) {
	text := strings.Replace(string(golden(t, "public.jwks")), `"use":"enc"`, `"use":"enc","extra":1`, 1)
	_, err := ParsePeer([]byte(text), "f.jwks")
	if err == nil || !strings.Contains(err.Error(), "an unknown member in line 4") {
		t.Errorf("%v", err)
	}
}
