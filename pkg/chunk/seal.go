package chunk

import (
	"crypto/aes"
	"crypto/cipher"
	"sync"

	"github.com/zeebo/blake3"
)

// Sealer seals chunks under one Secret. Safe for concurrent use.
type Sealer struct {
	hashers sync.Pool // *blake3.Hasher keyed with K_phs
	table   gear
	plain   bool     // chunks of data are left as they are
	memory  *buffers // of its Writers
}

// NewSealer derives what sealing and cutting need from a secret.
func NewSealer(s Secret) *Sealer {
	keyed, err := blake3.NewKeyed(s.derive(labelPhs, 32))
	if err != nil {
		panic(err) // the length is a constant
	}
	out := &Sealer{table: newGear(s.derive(labelCut, gearLen)), memory: memory}
	out.hashers.New = func() any { return keyed.Clone() }
	return out
}

// Fresh gives a Sealer with a secret of its own: nothing that it seals is equal to anything else.
func (s *Sealer) Fresh() (*Sealer, error) {
	secret, err := NewSecret()
	if err != nil {
		return nil, err
	}
	out := NewSealer(secret)
	out.memory = s.memory
	return out, nil
}

// Apart has the Writers of a new Sealer share no memory, and so wait for no chunks, with those of others: for sites of which
// many are simulated in one process, each with a clock of its own.
func (s *Sealer) Apart() *Sealer {
	s.memory = newBuffers()
	return s
}

// Sealed is one chunk ready to travel: its line of the map (without a number), its record, and the ciphertext.
type Sealed struct {
	Entry  Entry
	Record Record
	Bytes  []byte
}

// Seal seals 1 to MaxChunk bytes of data. The ciphertext is appended to dst, which needs capacity for Overhead more
// bytes than plain to avoid an allocation; dst may be plain[:0], and then plain is overwritten. With compress it is
// compressed where that saves.
func (s *Sealer) Seal(dst, plain []byte, compress bool) Sealed {
	return s.seal(dst, plain, int64(len(plain)), 0, compress)
}

// seal seals a chunk of any level that stands for size bytes of data.
func (s *Sealer) seal(dst, plain []byte, size int64, lvl uint8, try bool) Sealed {
	if s.plain && lvl == 0 {
		return leave(dst, plain)
	}
	z, alg := plain, AlgNone
	if try {
		buf := scratch.Get().(*[]byte)
		defer scratch.Put(buf)
		out, ok := compress((*buf)[:0], plain)
		if *buf = out[:0]; ok {
			z, alg = out, AlgZstd
		}
	}
	hdr := headerOf(alg, lvl)
	e := Entry{Phs: s.phs(&hdr, z), Len: size, Alg: alg, Lvl: lvl}
	start := len(dst)
	dst = e.Phs.aead().Seal(dst, e.Phs.expand(labelNonce, nonceLen), z, hdr[:])
	ct := dst[start:]
	e.Hsh = sum(ct)
	return Sealed{Entry: e, Record: Record{Name: e.Name(), Hsh: e.Hsh, Len: int64(len(ct))}, Bytes: ct}
}

// scratch holds compressed chunks until they are sealed.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

func (s *Sealer) phs(hdr *header, z []byte) (p Phs) {
	h := s.hashers.Get().(*blake3.Hasher)
	defer s.hashers.Put(h)
	h.Reset()
	_, _ = h.Write(hdr[:]) // a hash takes everything
	_, _ = h.Write(z)
	h.Sum(p[:0])
	return p
}

const nonceLen = 12

// aead gives the cipher of one chunk. Key and nonce are of this content alone, so each key seals one text.
func (p *Phs) aead() cipher.AEAD {
	block, err := aes.NewCipher(p.expand(labelKey, 32))
	if err != nil {
		panic(err) // the length is a constant
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return gcm
}
