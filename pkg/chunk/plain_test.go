package chunk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestPlainKnownAnswers(t *testing.T) {
	k := loadKnown(t)
	if len(k.Plain) < 2 {
		t.Fatalf("only %d plain chunks", len(k.Plain))
	}
	for _, c := range k.Plain {
		x := plainSealer(t).Seal(nil, c.Data, true)
		if !bytes.Equal(x.Bytes, c.Data) || !bytes.Equal(x.Record.Hsh[:], c.Hsh) || !bytes.Equal(x.Record.Name[:], c.Name) || x.Record.Len != int64(len(c.Data)) {
			t.Errorf("%d bytes: %x, record %v", len(c.Data), x.Bytes, x.Record)
		}
		m := Map{Entries: []Entry{x.Entry}}
		if text, err := m.Encode(); err != nil || string(text) != c.Map {
			t.Errorf("map %s, want %s (%v)", text, c.Map, err)
		}
		back, err := ParsePlainMap([]byte(c.Map))
		if err != nil || back.Entries[0] != x.Entry {
			t.Errorf("the map comes back as %v (%v)", back, err)
		}
	}
}

func plainSealer(tb testing.TB) *Sealer {
	tb.Helper()
	s, err := NewPlainSealer()
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// TestPlainWriter cuts a body at every MiB, leaves it as it is, and reads it back.
func TestPlainWriter(t *testing.T) {
	data := bytes.Repeat([]byte("the same line again and again, which would compress well\n"), 50_000)
	shelf := newShelf()
	var m Map
	w := NewWriter(t.Context(), plainSealer(t), WriterOptions{Compress: true, Fixed: true}, func(e Entry, r Record, ct []byte) error {
		m.Entries = append(m.Entries, e)
		return shelf.sink(e, r, ct)
	})
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for i, e := range m.Entries {
		if want := data[i<<20 : min(len(data), (i+1)<<20)]; e.Alg != AlgPlain || !bytes.Equal(shelf.held[e.Name()], want) {
			t.Fatalf("chunk %d (%s) is not the bytes of the body", i, e)
		}
	}
	r := NewReader(context.Background(), m, shelf)
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes came back: %v", len(got), err)
	}
}

// TestPlainTampered changes bytes that nothing but their hash protects.
func TestPlainTampered(t *testing.T) {
	x := plainSealer(t).Seal(nil, []byte("signed, not encrypted"), false)
	for i := range x.Bytes {
		bad := clone(x.Bytes)
		bad[i] ^= 1
		if _, err := x.Entry.Open(bad, nil); !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	for _, bad := range [][]byte{nil, x.Bytes[1:], append(clone(x.Bytes), 0)} {
		if _, err := x.Entry.Open(bad, nil); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d bytes in place of %d: %v", len(bad), len(x.Bytes), err)
		}
	}
}

// TestMapsOfOneModeAlone refuses sealed chunks where plain ones are due, and the other way round: nothing may pass by whoever
// reads along, and nothing readable may travel on a link that is encrypted.
func TestMapsOfOneModeAlone(t *testing.T) {
	x := plainSealer(t).Seal(nil, []byte("plain"), false)
	open, err := (&Map{Entries: []Entry{x.Entry}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseMap(open); !errors.Is(err, ErrMap) {
		t.Errorf("a plain chunk in a map of sealed ones: %v", err)
	}
	shut, err := (&Map{Entries: entries(1, 0, 100)}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	word := func(old, new string) string { return strings.Replace(string(open), old, new, 1) }
	for what, text := range map[string]string{
		"sealed":      string(shut),
		"content":     `{"cnt":"aGVsbG8"}`,
		"empty":       `[]`,
		"two codings": word("plain", "zstd"),
		"level":       word(`"alg"`, `"lvl":1,"alg"`),
		"phs":         word(`"len"`, `"phs":"`+strings.Repeat("A", 43)+`","len"`),
		"no hash":     `[{"num":0,"len":5,"alg":"plain"}]`,
		"long":        word(`"len":5`, fmt.Sprintf(`"len":%d`, MaxChunk+1)),
	} {
		if _, err := ParsePlainMap([]byte(text)); !errors.Is(err, ErrMap) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzPlainMap(f *testing.F) {
	text, err := (&Map{Entries: []Entry{plainSealer(f).Seal(nil, []byte("plain"), false).Entry}}).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParsePlainMap(b)
		if err != nil {
			if !errors.Is(err, ErrMap) {
				t.Fatal(err)
			}
			return
		}
		for i := range m.Entries {
			if m.Entries[i].Alg != AlgPlain || m.Entries[i].Lvl != 0 || m.Entries[i].Phs != (Phs{}) {
				t.Fatalf("entry %d is not plain: %s", i, m.Entries[i])
			}
		}
		if _, err := m.Encode(); err != nil {
			t.Fatal(err)
		}
	})
}
