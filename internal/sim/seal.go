package sim

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/node"
	"github.com/hoft/hoft/pkg/seal"
)

// sealing is what a process seals and opens with: the real seal, or a stand-in that costs a hundredth of it.
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
		return standIn{s.id, w.book.sealed}
	}
	self := seal.Self{ID: s.id, SigKid: s.keys.sigKid, Sig: s.keys.sig, Enc: map[string]*ecdsa.PrivateKey{s.keys.encKid: s.keys.enc}}
	r := real{sealers: map[identity.ID]node.Sealer{}}
	var peers []seal.Peer
	for _, o := range w.sites {
		if o == s {
			continue
		}
		p := seal.Peer{ID: o.id, Name: o.name, Sig: map[string]ed25519.PublicKey{o.keys.sigKid: o.keys.sig.Public().(ed25519.PublicKey)},
			EncKid: o.keys.encKid, Enc: &o.keys.enc.PublicKey, Signed: w.signed(s, o)}
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

// standIn seals a line by having its hash written down beside the world, and opens those that were: nothing damaged is
// taken, and a line belongs to its file. What a real seal has to find out by computing is looked up here.
type standIn struct {
	self   identity.ID
	sealed *sealedBook
}

func (o standIn) to(identity.ID) node.Sealer { return o }

// Rkt implements node.Sealer.
func (standIn) Rkt() string { return "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }

// Seal implements node.Sealer.
func (standIn) Seal(dst, claims []byte) ([]byte, error) {
	return append(append(dst, claims...), '\n'), nil
}

// note writes the lines of a file down.
func (o standIn) note(name frame.Name, lines [][]byte, claims []*frame.Claims) {
	if len(claims) != len(lines) {
		return // what cannot be read, a violation already
	}
	for i, c := range claims {
		if c.Iss == name.Sender && c.Aud == name.Recipient && c.Seq == name.Seq {
			o.sealed.add(name, lines[i], c)
		}
	}
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
	if name.Recipient != o.self {
		return nil
	}
	return o.sealed.find(name, line)
}

// sealedBook is what the stand-in has sealed: of each line a hash, for a file of any age may come again, and what it says
// as long as the line is young.
type sealedBook struct {
	lines map[frame.Name][]uint64
	young map[youngLine]*frame.Claims
	order []youngLine // from the oldest on
	bytes int         // of young lines
}

// youngLine is a line of which is known what it says.
type youngLine struct {
	name frame.Name
	hash uint64
	size int
}

// youngBytes is how much of young lines is kept. What they say takes a few times as much.
const youngBytes = 2 << 20

func newSealedBook() *sealedBook {
	return &sealedBook{lines: map[frame.Name][]uint64{}, young: map[youngLine]*frame.Claims{}}
}

func (b *sealedBook) add(name frame.Name, line []byte, c *frame.Claims) {
	l := youngLine{name, mix(line), len(line)}
	b.lines[name] = append(b.lines[name], l.hash)
	b.keep(l, c)
}

// find gives what a line says that was sealed under a name, else nil.
func (b *sealedBook) find(name frame.Name, line []byte) *frame.Claims {
	l := youngLine{name, mix(line), len(line)}
	if !slices.Contains(b.lines[name], l.hash) {
		return nil
	}
	if c := b.young[l]; c != nil {
		return c
	}
	c, err := frame.ParseClaims(line)
	if err != nil {
		panic(err) // it was read before it was written down
	}
	b.keep(l, c)
	return c
}

// keep keeps what a line says, in the place of the oldest.
func (b *sealedBook) keep(l youngLine, c *frame.Claims) {
	if b.young[l] != nil {
		return
	}
	b.young[l] = c
	b.order = append(b.order, l)
	for b.bytes += l.size; b.bytes > youngBytes; b.order = b.order[1:] {
		b.bytes -= b.order[0].size
		delete(b.young, b.order[0])
	}
}
