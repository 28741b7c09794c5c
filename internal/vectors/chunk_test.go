package vectors

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/klauspost/compress/zstd"
	"lukechampine.com/blake3"
)

// The answers of pkg/chunk/testdata/known.json, computed once more from docs/protocol.md ("Chunks") with another BLAKE3,
// HKDF written out, and the cut as it is defined instead of as it is fast.

type chunkAnswer struct {
	About  string `json:"about"`
	Secret string `json:"secret"`
	Plain  string `json:"plain"`
	Z      string `json:"z"`
	Alg    byte   `json:"alg"`
	Lvl    byte   `json:"lvl"`
	KPhs   string `json:"k_phs"`
	Phs    string `json:"phs"`
	Key    string `json:"key"`
	Nonce  string `json:"nonce"`
	Name   string `json:"name"`
	Ct     string `json:"ct"`
	Hsh    string `json:"hsh"`
	Record string `json:"record"`
}

type cutAnswer struct {
	Secret  string `json:"secret"`
	First   string `json:"table_first"`
	Last    string `json:"table_last"`
	Seed    string `json:"seed"`
	Length  int    `json:"length"`
	Lengths []int  `json:"lengths"`
}

// plainAnswer is a chunk of a link in signed mode, with the map that lists it alone.
type plainAnswer struct {
	Data string `json:"data"`
	Hsh  string `json:"hsh"`
	Name string `json:"name"`
	Map  string `json:"map"`
}

type knownAnswers struct {
	Chunks []chunkAnswer `json:"chunks"`
	Cuts   []cutAnswer   `json:"cuts"`
	Plain  []plainAnswer `json:"plain"`
}

const knownFile = "../../pkg/chunk/testdata/known.json"

// hkdfExpand is RFC 5869 section 2.3; hkdfExtract 2.2 with an empty salt.
func hkdfExpand(prk []byte, info string, n int) (out []byte) {
	var t []byte
	for i := byte(1); len(out) < n; i++ {
		h := hmac.New(sha256.New, prk)
		h.Write(t)
		h.Write([]byte(info))
		h.Write([]byte{i})
		t = h.Sum(nil)
		out = append(out, t...)
	}
	return out[:n]
}

func hkdfExtract(ikm []byte) []byte {
	h := hmac.New(sha256.New, make([]byte, sha256.Size))
	h.Write(ikm)
	return h.Sum(nil)
}

// answer fills in what follows from secret, z, alg and lvl.
func (c chunkAnswer) answer(t *testing.T) chunkAnswer {
	z, secret := unhex(t, c.Z), unhex(t, c.Secret)
	hdr := append([]byte("hoft/v1 chunk\x00"), c.Alg, c.Lvl)
	kphs := hkdfExpand(hkdfExtract(secret), "hoft/v1 chunk phs", 32)
	h := blake3.New(32, kphs)
	h.Write(append(append([]byte(nil), hdr...), z...))
	phs := h.Sum(nil)
	key, nonce, name := hkdfExpand(phs, "hoft/v1 chunk key", 32), hkdfExpand(phs, "hoft/v1 chunk nonce", 12), hkdfExpand(phs, "hoft/v1 chunk name", 16)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	ct := gcm.Seal(nil, nonce, z, hdr)
	hsh := blake3.Sum256(ct)
	rec := append(binary.BigEndian.AppendUint32(append([]byte(nil), name...), uint32(len(ct))), ct...)
	for dst, b := range map[*string][]byte{&c.KPhs: kphs, &c.Phs: phs, &c.Key: key, &c.Nonce: nonce, &c.Name: name, &c.Ct: ct, &c.Hsh: hsh[:], &c.Record: rec} {
		*dst = hex.EncodeToString(b)
	}
	return c
}

func (c plainAnswer) answer(t *testing.T) plainAnswer {
	data := unhex(t, c.Data)
	hsh := blake3.Sum256(data)
	c.Hsh = hex.EncodeToString(hsh[:])
	c.Name = hex.EncodeToString(hkdfExpand(hsh[:], "hoft/v1 plain name", 16))
	c.Map = fmt.Sprintf(`[{"num":0,"hsh":"%s","len":%d,"alg":"plain"}]`, base64.RawURLEncoding.EncodeToString(hsh[:]), len(data))
	return c
}

func (c cutAnswer) answer(t *testing.T) cutAnswer {
	raw := hkdfExpand(hkdfExtract(unhex(t, c.Secret)), "hoft/v1 cdc table", 2048)
	var gear [256]uint64
	for i := range gear {
		gear[i] = binary.LittleEndian.Uint64(raw[8*i:])
	}
	c.First = hex.EncodeToString(binary.BigEndian.AppendUint64(nil, gear[0]))
	c.Last = hex.EncodeToString(binary.BigEndian.AppendUint64(nil, gear[255]))
	var stream []byte
	for n := uint64(0); len(stream) < c.Length; n++ {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(unhex(t, c.Seed), n))
		stream = append(stream, sum[:]...)
	}
	stream = stream[:c.Length]
	mask := func(bits int) (m uint64) { // that many, every second one from 62 downwards
		for i := range bits {
			m |= 1 << (62 - 2*i)
		}
		return m
	}
	before, after, leap := mask(20), mask(16), mask(15)
	c.Lengths = nil
	for len(stream) > 0 {
		n := min(len(stream), 4<<20)
		var hash uint64
		for i := 256 << 10; i < n; i++ {
			hash = hash<<1 + gear[stream[i]]
			if i < 1<<20 && hash&before == 0 || i >= 1<<20 && hash&after == 0 {
				n = i + 1
			} else if hash&leap == 0 {
				hash, i = 0, i+96<<10
			}
		}
		c.Lengths = append(c.Lengths, n)
		stream = stream[n:]
	}
	return c
}

func TestChunkAnswers(t *testing.T) {
	b, err := os.ReadFile(knownFile)
	if err != nil {
		t.Fatal(err)
	}
	var k, want knownAnswers
	if err := json.Unmarshal(b, &k); err != nil {
		t.Fatal(err)
	}
	if len(k.Chunks) == 0 || len(k.Cuts) == 0 || len(k.Plain) == 0 {
		t.Fatal("no answers")
	}
	dec, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	for _, c := range k.Chunks {
		want.Chunks = append(want.Chunks, c.answer(t))
		plain := unhex(t, c.Z)
		if c.Alg == 1 {
			if plain, err = dec.DecodeAll(plain, nil); err != nil {
				t.Errorf("%s: %v", c.About, err)
			}
		}
		if !bytes.Equal(plain, unhex(t, c.Plain)) {
			t.Errorf("%s: z is not the plain text", c.About)
		}
	}
	for _, c := range k.Cuts {
		want.Cuts = append(want.Cuts, c.answer(t))
	}
	for _, c := range k.Plain {
		want.Plain = append(want.Plain, c.answer(t))
	}
	out, err := json.MarshalIndent(want, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if out = append(out, '\n'); !bytes.Equal(out, b) {
		const theirs = "known.json.computed"
		if err := os.WriteFile(theirs, out, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Errorf("the file says otherwise; what was computed here lies in %s", theirs)
	}
}
