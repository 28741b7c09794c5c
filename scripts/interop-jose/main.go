// Command interop-jose is hoft's side of the exchange with another JOSE implementation; see the script
// named run. "seal DIR" writes keys, claims and sealed lines there, "open DIR" opens what came back.
package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/seal"
)

// scene is what both implementations know. The keys live as long as the test.
type scene struct {
	Iss       identity.ID     `json:"iss"`
	Aud       identity.ID     `json:"aud"`
	Sender    jose.JSONWebKey `json:"sender"`
	Recipient jose.JSONWebKey `json:"recipient"`
	PSK       string          `json:"psk"`
}

const epoch = 1763798400123

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "interop-jose:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[0] == "seal" {
		return sealAll(args[1])
	}
	if len(args) == 2 && args[0] == "open" {
		return openAll(args[1])
	}
	return errors.New("want: seal DIR, or open DIR")
}

func newScene() (*scene, error) {
	s := &scene{Iss: identity.ID{0xa, 15: 1}, Aud: identity.ID{0xb, 15: 2}}
	_, sig, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	enc, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if s.Sender, err = jwk(sig); err != nil {
		return nil, err
	}
	if s.Recipient, err = jwk(enc); err != nil {
		return nil, err
	}
	psk := make([]byte, seal.PSKSize)
	rand.Read(psk)
	s.PSK = base64.RawURLEncoding.EncodeToString(psk)
	return s, nil
}

func jwk(key any) (jose.JSONWebKey, error) {
	k := jose.JSONWebKey{Key: key}
	t, err := k.Thumbprint(crypto.SHA256)
	k.KeyID = base64.RawURLEncoding.EncodeToString(t)
	return k, err
}

// self and peer are hoft's view of the sender and of the recipient.
func (s *scene) self() seal.Self {
	return seal.Self{ID: s.Iss, SigKid: s.Sender.KeyID, Sig: s.Sender.Key.(ed25519.PrivateKey)}
}

func (s *scene) peers() (map[string]seal.Peer, error) {
	psk, err := base64.RawURLEncoding.DecodeString(s.PSK)
	if err != nil {
		return nil, err
	}
	return map[string]seal.Peer{
		"keys": {ID: s.Aud, EncKid: s.Recipient.KeyID, Enc: &s.Recipient.Key.(*ecdsa.PrivateKey).PublicKey},
		"psk":  {ID: s.Aud, PSK: psk},
	}, nil
}

func (s *scene) claims(rkt string) ([]byte, error) {
	last := uint64(9)
	c := frame.Claims{
		V: frame.Version, Iss: s.Iss, Aud: s.Aud, Rkt: rkt, Ep: epoch, Seq: epoch*frame.SeqPerEpoch + 1, Fin: true,
		Iat: epoch / 1000, Jti: "q83vASNFZ4mrze8BI0VniQ", Base: 1, Last: &last, Ack: &frame.Ack{}, Rx: &frame.Rx{},
	}
	tail, err := frame.EncodeTail(frame.KindReq, []byte(`{"text":"grüße"}`), bytes.Repeat([]byte("body "), 500), true)
	if err != nil {
		return nil, err
	}
	return c.Append(nil, [][]byte{tail.WithID(9)}), nil
}

func sealAll(dir string) error {
	s, err := newScene()
	if err != nil {
		return err
	}
	peers, err := s.peers()
	if err != nil {
		return err
	}
	for suite, p := range peers {
		sealer, err := seal.NewSealer(s.self(), p)
		if err != nil {
			return err
		}
		claims, err := s.claims(sealer.Rkt())
		if err != nil {
			return err
		}
		line, err := sealer.Seal(nil, claims)
		if err != nil {
			return err
		}
		if err := write(dir, "claims."+suite, claims); err != nil {
			return err
		}
		if err := write(dir, "hoft."+suite, line); err != nil {
			return err
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return write(dir, "scene.json", text)
}

func write(dir, name string, b []byte) error {
	return os.WriteFile(filepath.Join(dir, name), b, 0o600)
}

func openAll(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "scene.json"))
	if err != nil {
		return err
	}
	var s scene
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	peers, err := s.peers()
	if err != nil {
		return err
	}
	senders := map[string]seal.Peer{
		"keys": {ID: s.Iss, Sig: map[string]ed25519.PublicKey{s.Sender.KeyID: s.self().Sig.Public().(ed25519.PublicKey)}},
		"psk":  {ID: s.Iss, PSK: peers["psk"].PSK},
	}
	self := seal.Self{ID: s.Aud, Enc: map[string]*ecdsa.PrivateKey{s.Recipient.KeyID: s.Recipient.Key.(*ecdsa.PrivateKey)}}
	name := frame.Name{Recipient: s.Aud, Sender: s.Iss, Seq: epoch*frame.SeqPerEpoch + 1, Ext: frame.ExtFrame}
	for suite, p := range senders {
		o, err := seal.NewOpener(self, []seal.Peer{p})
		if err != nil {
			return err
		}
		line, err := os.ReadFile(filepath.Join(dir, "jose."+suite))
		if err != nil {
			return err
		}
		r := o.File(name, line, seal.Mark{})
		if !r.Whole {
			return fmt.Errorf("%s: what jose sealed is refused at check %d: %s", suite, r.Err.Check, r.Err.Detail)
		}
		if body, err := r.Lines[0].Msg[0].Plain(); err != nil || len(body) != 2500 {
			return fmt.Errorf("%s: body of %d bytes, want 2500: %v", suite, len(body), err)
		}
		line[len(line)/2] ^= 1
		if r := o.File(name, line, seal.Mark{}); r.Whole || len(r.Lines) != 0 {
			return fmt.Errorf("%s: a changed line was opened", suite)
		}
		fmt.Printf("%s: hoft opens what jose sealed\n", suite)
	}
	return nil
}
