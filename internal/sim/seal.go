package sim

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/seal"
)

// sealing is what a process seals and opens with: the real seal, or a keyed MAC that costs a hundredth of it.
type sealing interface {
	node.Opener
	to(peer identity.ID) node.Sealer
}

// keys are those of one site, for the real seal. They come from the seed, so that whatever is said of them is the same
// in every run; what the seal itself draws at random decides nothing.
type keys struct {
	sigKid, encKid string
	sig            ed25519.PrivateKey
	enc            *ecdsa.PrivateKey
}

// giveKeys makes real keys where the plan wants them.
func (w *World) giveKeys() {
	if !w.plan.RealSeal {
		return
	}
	for _, s := range w.sites {
		seed := sha256.Sum256(fmt.Appendf(nil, "%d %s", w.plan.Seed, s.name))
		enc, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
		if err != nil {
			panic(err) // one in 2^32
		}
		s.keys = &keys{sig: ed25519.NewKeyFromSeed(seed[:]), enc: enc}
		s.keys.sigKid, s.keys.encKid = thumbprint(s.keys.sig.Public()), thumbprint(&enc.PublicKey)
	}
}

// thumbprint names a key as RFC 7638 says.
func thumbprint(pub crypto.PublicKey) string {
	t, err := (&jose.JSONWebKey{Key: pub}).Thumbprint(crypto.SHA256)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(t)
}

// sealingOf gives what a site seals and opens with.
func (w *World) sealingOf(s *site) sealing {
	if s.keys == nil {
		return standIn{s.id}
	}
	self := seal.Self{ID: s.id, SigKid: s.keys.sigKid, Sig: s.keys.sig, Enc: map[string]*ecdsa.PrivateKey{s.keys.encKid: s.keys.enc}}
	r := real{sealers: map[identity.ID]node.Sealer{}}
	var peers []seal.Peer
	for _, o := range w.sites {
		if o == s {
			continue
		}
		p := seal.Peer{ID: o.id, Name: o.name, Sig: map[string]ed25519.PublicKey{o.keys.sigKid: o.keys.sig.Public().(ed25519.PublicKey)},
			EncKid: o.keys.encKid, Enc: &o.keys.enc.PublicKey}
		sealer, err := seal.NewSealer(self, p)
		if err != nil {
			panic(err)
		}
		r.sealers[o.id] = sealer
		peers = append(peers, p)
	}
	opener, err := seal.NewOpener(self, peers)
	if err != nil {
		panic(err)
	}
	r.Opener = opener
	return r
}

// real is the real seal.
type real struct {
	node.Opener
	sealers map[identity.ID]node.Sealer
}

func (r real) to(peer identity.ID) node.Sealer { return r.sealers[peer] }

// standIn seals a line by writing a MAC before its claims. All sites have one key: what it stands for is that
// nothing damaged is taken, and that a line belongs to its file.
type standIn struct{ self identity.ID }

var standInKey = []byte("the key of the stand-in")

const macLen = 32 // hex digits

func (o standIn) to(identity.ID) node.Sealer { return o }

// Rkt implements node.Sealer.
func (standIn) Rkt() string { return "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }

// Seal implements node.Sealer.
func (standIn) Seal(dst, claims []byte) ([]byte, error) {
	dst = append(dst, mac(claims)...)
	dst = append(dst, claims...)
	return append(dst, '\n'), nil
}

func mac(claims []byte) []byte {
	h := hmac.New(sha256.New, standInKey)
	h.Write(claims)
	return hex.AppendEncode(nil, h.Sum(nil)[:macLen/2])
}

// File implements node.Opener. It opens a file from its beginning each time; ids keep lines from having an effect twice.
func (o standIn) File(name frame.Name, data []byte, _ seal.Mark) seal.Result {
	var r seal.Result
	fin := -1
	for len(data) > 0 {
		line, rest, whole := bytes.Cut(data, []byte{'\n'})
		data = rest
		c := o.open(name, line)
		switch {
		case c == nil && !whole:
			r.Tail = len(line)
			continue
		case c == nil || r.Seen.Contains(uint64(c.Idx)):
			r.Bad++
			continue
		}
		if c.Fin {
			fin = c.Idx
		}
		r.Seen.Add(uint64(c.Idx), uint64(c.Idx))
		r.Lines = append(r.Lines, c)
	}
	r.Whole = r.Bad == 0 && r.Tail == 0 && fin >= 0 && r.Seen.Count() == uint64(fin)+1
	if !r.Whole {
		r.Err = &seal.Error{Reason: seal.Truncated, Check: 4}
	}
	return r
}

// open gives the claims of a good line, else nil.
func (o standIn) open(name frame.Name, line []byte) *frame.Claims {
	if len(line) < macLen || !hmac.Equal(line[:macLen], mac(line[macLen:])) {
		return nil
	}
	c, err := frame.ParseClaims(line[macLen:])
	if err != nil || c.Iss != name.Sender || c.Aud != name.Recipient || c.Seq != name.Seq || c.Aud != o.self {
		return nil
	}
	return c
}
