package chunk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// sealRaw seals bytes as a chunk of any coding, length and level, as a bad peer could.
func sealRaw(s *Sealer, z []byte, alg Alg, lvl uint8, size int64) Sealed {
	hdr := headerOf(alg, lvl)
	e := Entry{Phs: s.phs(&hdr, z), Len: size, Alg: alg, Lvl: lvl}
	ct := e.Phs.aead().Seal(nil, e.Phs.expand(labelNonce, nonceLen), z, hdr[:])
	r := Record{Name: e.Name(), Len: int64(len(ct))}
	r.Hsh = sum(ct)
	e.Hsh = r.Hsh
	return Sealed{Entry: e, Record: r, Bytes: ct}
}

func TestRoundTrip(t *testing.T) {
	s := NewSealer(secretA)
	buf := make([]byte, 0, MaxChunk)
	for _, n := range []int{1, 2, 127, 128, 4096, 40000, 1 << 20, MaxChunk} {
		for _, compress := range []bool{false, true} {
			for kind, plain := range map[string][]byte{"random": random(1, n), "text": text(1, n)} {
				x := s.Seal(nil, plain, compress)
				if err := x.Record.Verify(x.Bytes); err != nil {
					t.Fatalf("%s of %d bytes: %v", kind, n, err)
				}
				if x.Entry.Name() != x.Record.Name || x.Entry.Hsh != x.Record.Hsh || x.Entry.Len != int64(n) {
					t.Fatalf("%s of %d bytes: entry and record differ", kind, n)
				}
				if compress && kind == "text" && n >= 4096 && (x.Entry.Alg != AlgZstd || x.Record.Len > int64(n)/4) {
					t.Errorf("text of %d bytes became %d (%s)", n, x.Record.Len, x.Entry.Alg)
				}
				if kind == "random" && x.Record.Len != int64(n)+Overhead {
					t.Errorf("random of %d bytes became %d", n, x.Record.Len)
				}
				got, err := x.Entry.Open(clone(x.Bytes), buf)
				if err != nil || !bytes.Equal(got, plain) {
					t.Fatalf("%s of %d bytes: %v", kind, n, err)
				}
			}
		}
	}
}

// Sealing in place and into another buffer give the same.
func TestSealInPlace(t *testing.T) {
	s := NewSealer(secretA)
	for _, plain := range [][]byte{random(1, 300_000), text(1, 300_000)} {
		want := s.Seal(nil, plain, true)
		own := append(make([]byte, 0, len(plain)+Overhead), plain...)
		got := s.Seal(own[:0], own, true)
		if got.Entry != want.Entry || !bytes.Equal(got.Bytes, want.Bytes) {
			t.Error("sealing in place gives something else")
		}
		if got.Entry.Alg == AlgNone && &got.Bytes[0] != &own[0] {
			t.Error("sealing in place took another buffer")
		}
	}
}

// T1: equal data is equal under one secret, and shares nothing under two.
func TestSecretsDecideEquality(t *testing.T) {
	plain := text(3, 200_000)
	a, again, b := NewSealer(secretA).Seal(nil, plain, true), NewSealer(secretA).Seal(nil, plain, true), NewSealer(secretB).Seal(nil, plain, true)
	if a.Record != again.Record || !bytes.Equal(a.Bytes, again.Bytes) {
		t.Error("the same chunk under the same secret differs")
	}
	if a.Record.Name == b.Record.Name || a.Record.Hsh == b.Record.Hsh || a.Entry.Phs == b.Entry.Phs {
		t.Error("the same chunk under two secrets is recognisable")
	}
	const piece = 8
	seen := map[string]bool{}
	for i := 0; i+piece <= len(a.Bytes); i += piece {
		seen[string(a.Bytes[i:i+piece])] = true
	}
	for i := 0; i+piece <= len(b.Bytes); i++ {
		if seen[string(b.Bytes[i:i+piece])] {
			t.Fatalf("both ciphertexts hold the same %d bytes", piece)
		}
	}
}

// Another tenant who guesses bodies finds none of them: names and hashes need the secret.
func TestGuessing(t *testing.T) {
	form := func(n int) []byte {
		return fmt.Appendf(nil, "patient number %04d, diagnosis: none%s", n, strings.Repeat(" ", 300))
	}
	real := NewSealer(secretA).Seal(nil, form(4711), true).Record
	every := 1
	if testing.Short() {
		every = 7 // 4711 is among them
	}
	for _, guess := range []Secret{{}, secretB} {
		s := NewSealer(guess)
		for n := 0; n < 10_000; n += every {
			if r := s.Seal(nil, form(n), true).Record; r.Name == real.Name || r.Hsh == real.Hsh {
				t.Fatalf("guess %d is confirmed without the secret", n)
			}
		}
	}
}

// Whatever is changed in ciphertext, map line or level, the chunk does not open.
func TestTampered(t *testing.T) {
	s := NewSealer(secretA)
	for _, plain := range [][]byte{random(1, 600), text(1, 600)} {
		x, other := s.Seal(nil, plain, true), s.Seal(nil, random(9, len(plain)), true)
		for i := range x.Bytes {
			for bit := range 8 {
				ct := clone(x.Bytes)
				ct[i] ^= 1 << bit
				refused(t, "a flipped bit", x.Entry, ct, ErrDamaged)
				e := x.Entry // the hash fits: the tag must find it
				e.Hsh = sum(ct)
				refused(t, "a flipped bit under its own hash", e, ct, ErrMap)
			}
		}
		for n := range x.Bytes {
			refused(t, "a cut chunk", x.Entry, x.Bytes[:n:n], ErrDamaged)
		}
		refused(t, "a longer chunk", x.Entry, append(clone(x.Bytes), 0), ErrDamaged)
		refused(t, "another chunk", x.Entry, other.Bytes, ErrDamaged)
		for name, change := range map[string]func(*Entry){
			"phs":     func(e *Entry) { e.Phs = other.Entry.Phs },
			"level":   func(e *Entry) { e.Lvl = 1 },
			"shorter": func(e *Entry) { e.Len-- },
			"longer":  func(e *Entry) { e.Len++ },
			"coding":  func(e *Entry) { e.Alg ^= 1 },
		} {
			e := x.Entry
			change(&e)
			refused(t, "another "+name, e, x.Bytes, ErrMap, ErrDamaged)
		}
	}
}

func refused(t *testing.T, what string, e Entry, ct []byte, want ...error) {
	t.Helper()
	got, err := e.Open(clone(ct), nil)
	if err == nil {
		t.Fatalf("%s opens to %d bytes", what, len(got))
	}
	if !slices.ContainsFunc(want, func(w error) bool { return errors.Is(err, w) }) {
		t.Fatalf("%s: %v, want %v", what, err, want)
	}
}

// What a bad peer seals properly but with a wrong length or coding stops at the bound of the map.
func TestBombs(t *testing.T) {
	s := NewSealer(secretA)
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(false))
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	big := make([]byte, 64<<20)
	frame := func(n int) []byte { return enc.EncodeAll(big[:n], nil) }
	wide, err := zstd.NewWriter(nil, zstd.WithWindowSize(16<<20), zstd.WithSingleSegment(false))
	if err != nil {
		t.Fatal(err)
	}
	defer wide.Close()
	for name, x := range map[string]Sealed{
		"64 MiB in a few KiB":          sealRaw(s, frame(64<<20), AlgZstd, 0, MaxChunk),
		"one byte more than stated":    sealRaw(s, frame(100_001), AlgZstd, 0, 100_000),
		"one byte less than stated":    sealRaw(s, frame(99_999), AlgZstd, 0, 100_000),
		"two frames":                   sealRaw(s, append(frame(50_000), frame(50_001)...), AlgZstd, 0, 100_000),
		"no zstd":                      sealRaw(s, random(1, 500), AlgZstd, 0, 100_000),
		"rubbish behind":               sealRaw(s, append(frame(100_000), 1, 2, 3, 4, 5), AlgZstd, 0, 100_000),
		"nothing":                      sealRaw(s, nil, AlgNone, 0, 1),
		"a window of 16 MiB":           sealRaw(s, wide.EncodeAll(big[:20<<20], nil), AlgZstd, 0, MaxChunk),
		"longer compressed":            sealRaw(s, frame(1), AlgZstd, 0, 1),
		"uncompressed, another length": sealRaw(s, random(1, 500), AlgNone, 0, 499),
	} {
		if _, err := x.Entry.Open(clone(x.Bytes), make([]byte, 0, MaxChunk)); !errors.Is(err, ErrMap) && !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	node := sealRaw(s, frame(MaxChunk+1), AlgZstd, 1, 1<<30)
	if _, err := node.Entry.openNode(clone(node.Bytes), nil); !errors.Is(err, ErrMap) {
		t.Errorf("a node above the limit: %v", err)
	}
}

// Nothing that prints or marshals shows the secret or a phs.
func TestNoSecrets(t *testing.T) {
	x := NewSealer(secretA).Seal(nil, text(1, 5000), true)
	m := Map{Entries: []Entry{x.Entry}}
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	for _, v := range []any{secretA, &secretA, x.Entry.Phs, x.Entry, &x.Entry, x, m, &m, []Entry{x.Entry}, struct{ S Secret }{secretA}} {
		for _, f := range []string{"%v", "%+v", "%#v", "%x", "%X", "%d", "%s", "%q", "%b", "%o", "%t"} {
			fmt.Fprintf(&out, f+"\n", v)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
		log.Info("value", "v", v)
	}
	_, _ = io.WriteString(&out, "end")
	shown := out.String()
	for what, secret := range map[string][]byte{"secret": secretA[:], "phs": x.Entry.Phs[:]} {
		for _, f := range []string{"%x", "%X", "%d", "%v", "%o", "%b"} {
			s := fmt.Sprintf(f, secret)
			s = strings.Trim(s, "[]")
			if strings.Contains(shown, s) {
				t.Errorf("the output shows the %s as %s", what, f)
			}
		}
	}
	if !strings.Contains(shown, x.Entry.Hsh.String()) {
		t.Error("hsh may be shown and is not: does the test look at the output?")
	}
}
