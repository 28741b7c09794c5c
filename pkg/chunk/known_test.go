package chunk

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

// known is testdata/known.json: answers that two implementations agree on, this one and the one in internal/vectors.
// docs/protocol.md, "Chunks", is what both follow. It never changes once a version is tagged.
type known struct {
	Chunks []struct {
		Name   string `json:"about"`
		Secret hexes  `json:"secret"`
		Plain  hexes  `json:"plain"`
		Z      hexes  `json:"z"` // what is sealed: Plain, or a compressed form of it
		Alg    Alg    `json:"alg"`
		Lvl    uint8  `json:"lvl"`
		KPhs   hexes  `json:"k_phs"`
		Phs    hexes  `json:"phs"`
		Key    hexes  `json:"key"`
		Nonce  hexes  `json:"nonce"`
		ID     hexes  `json:"name"`
		Ct     hexes  `json:"ct"`
		Hsh    hexes  `json:"hsh"`
		Record hexes  `json:"record"`
	} `json:"chunks"`
	Cuts []struct {
		Secret  hexes `json:"secret"`
		First   hexes `json:"table_first"` // number 0 and number 255 of the gear table, big endian
		Last    hexes `json:"table_last"`
		Seed    hexes `json:"seed"`
		Length  int   `json:"length"` // of the stream SHA-256(seed || 0) || SHA-256(seed || 1) …, the counter in 8 bytes, big endian
		Lengths []int `json:"lengths"`
	} `json:"cuts"`
	Plain []struct {
		Data hexes  `json:"data"`
		Hsh  hexes  `json:"hsh"`
		Name hexes  `json:"name"`
		Map  string `json:"map"` // that lists it alone
	} `json:"plain"`
}

type hexes []byte

func (h *hexes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

func loadKnown(t *testing.T) (k known) {
	t.Helper()
	b, err := os.ReadFile("testdata/known.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &k); err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKnownAnswers(t *testing.T) {
	k := loadKnown(t)
	if len(k.Chunks) < 5 {
		t.Fatalf("only %d chunks", len(k.Chunks))
	}
	for _, c := range k.Chunks {
		same := func(what string, got, want []byte) {
			t.Helper()
			if !bytes.Equal(got, want) {
				t.Errorf("%s: %s is %x, want %x", c.Name, what, got, want)
			}
		}
		secret := Secret(c.Secret)
		same("k_phs", secret.derive(labelPhs, 32), c.KPhs)
		x := sealRaw(NewSealer(secret), c.Z, c.Alg, c.Lvl, int64(len(c.Plain)))
		same("phs", x.Entry.Phs[:], c.Phs)
		same("key", x.Entry.Phs.expand(labelKey, 32), c.Key)
		same("nonce", x.Entry.Phs.expand(labelNonce, nonceLen), c.Nonce)
		same("name", x.Record.Name[:], c.ID)
		same("ct", x.Bytes, c.Ct)
		same("hsh", x.Record.Hsh[:], c.Hsh)
		same("record", append(x.Record.AppendHeader(nil), x.Bytes...), c.Record)
		plain, err := x.Entry.Open(clone(c.Ct), nil)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		same("plain", plain, c.Plain)
		if c.Alg == AlgNone && c.Lvl == 0 {
			whole := NewSealer(secret).Seal(nil, c.Plain, false)
			same("sealed", whole.Bytes, c.Ct)
		}
	}
}

func TestKnownCuts(t *testing.T) {
	for _, c := range loadKnown(t).Cuts {
		s := NewSealer(Secret(c.Secret))
		if got := binary.BigEndian.AppendUint64(nil, s.table.one[0]); !bytes.Equal(got, c.First) {
			t.Errorf("table begins with %x, want %x", got, c.First)
		}
		if got := binary.BigEndian.AppendUint64(nil, s.table.one[255]); !bytes.Equal(got, c.Last) {
			t.Errorf("table ends with %x, want %x", got, c.Last)
		}
		var stream []byte
		for n := uint64(0); len(stream) < c.Length; n++ {
			sum := sha256.Sum256(binary.BigEndian.AppendUint64(append([]byte(nil), c.Seed...), n))
			stream = append(stream, sum[:]...)
		}
		shelf := newShelf()
		m := shelf.store(t, Secret(c.Secret), WriterOptions{}, stream[:c.Length])
		if len(m.Entries) != len(c.Lengths) {
			t.Fatalf("%d chunks, want %d", len(m.Entries), len(c.Lengths))
		}
		for i, e := range m.Entries {
			if int(e.Len) != c.Lengths[i] {
				t.Errorf("chunk %d has %d bytes, want %d", i, e.Len, c.Lengths[i])
			}
		}
	}
}
