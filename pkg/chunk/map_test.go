package chunk

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// entries gives a correct node of n entries that stand for size bytes each.
func entries(n int, lvl uint8, size int64) (out []Entry) {
	for i := range n {
		e := Entry{Num: int64(i), Len: size, Lvl: lvl, Alg: Alg(i % 2)}
		copy(e.Hsh[:], random(byte(i), 32))
		copy(e.Phs[:], random(byte(i+1), 32))
		out = append(out, e)
	}
	return out
}

func TestMapRoundTrip(t *testing.T) {
	for _, m := range []Map{
		{Cnt: []byte{}}, {Cnt: []byte("short")}, {Cnt: random(1, MaxInline)},
		{Entries: entries(1, 0, 1)}, {Entries: entries(30, 0, MaxChunk)}, {Entries: entries(9, MaxLevel, 1<<48)},
	} {
		b, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseMap(b)
		if err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("%s comes back as %s", m, got)
		}
	}
}

func TestMapText(t *testing.T) {
	m := Map{Entries: []Entry{{Len: 5}, {Num: 1, Len: 7, Alg: AlgZstd}}}
	zero := strings.Repeat("A", 43)
	want := `[{"num":0,"hsh":"` + zero + `","phs":"` + zero + `","len":5},{"num":1,"hsh":"` + zero + `","phs":"` + zero + `","len":7,"alg":"zstd"}]`
	if b, err := m.Encode(); err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
	m = Map{Cnt: []byte("hello")}
	if b, err := m.Encode(); err != nil || string(b) != `{"cnt":"aGVsbG8"}` {
		t.Errorf("%s, %v", b, err)
	}
}

func TestBadMaps(t *testing.T) {
	h := `"hsh":"` + strings.Repeat("A", 43) + `"`
	p := `"phs":"` + strings.Repeat("B", 42) + `A"`
	good := `{"num":0,` + h + `,` + p + `,"len":5}`
	if _, err := ParseMap([]byte("[" + good + "]")); err != nil {
		t.Fatal(err)
	}
	entry := func(num int, rest string) string { return fmt.Sprintf(`{"num":%d,%s,%s,%s}`, num, h, p, rest) }
	for name, text := range map[string]string{
		"empty":                 ``,
		"null":                  `null`,
		"number":                `5`,
		"empty object":          `{}`,
		"empty list":            `[]`,
		"list of null":          `[null]`,
		"cnt null":              `{"cnt":null}`,
		"cnt number":            `{"cnt":5}`,
		"cnt padded":            `{"cnt":"YQ=="}`,
		"cnt spare bits":        `{"cnt":"YR"}`,
		"cnt escaped":           `{"cnt":"Y\u0051"}`,
		"cnt line break":        "{\"cnt\":\"Y\nQ\"}",
		"cnt standard alphabet": `{"cnt":"+/8"}`,
		"cnt twice":             `{"cnt":"YQ","cnt":"YQ"}`,
		"cnt in other case":     `{"CNT":"YQ"}`,
		"cnt too long":          `{"cnt":"` + strings.Repeat("A", 4004) + `"}`,
		"cnt and more":          `{"cnt":"YQ","len":1}`,
		"wrapped":               `{"map":[` + good + `]}`,
		"open":                  `[` + good,
		"behind":                `[` + good + `]x`,
		"two lists":             `[` + good + `][` + good + `]`,
		"unknown member":        `[` + entry(0, `"len":5,"key":1`) + `]`,
		"member twice":          `[` + entry(0, `"len":5,"len":5`) + `]`,
		"other case":            `[` + entry(0, `"Len":5`) + `]`,
		"len missing":           `[` + entry(0, `"alg":"zstd"`) + `]`,
		"num missing":           `[{` + h + `,` + p + `,"len":5}]`,
		"hsh missing":           `[{"num":0,` + p + `,"len":5}]`,
		"phs missing":           `[{"num":0,` + h + `,"len":5}]`,
		"hsh short":             `[{"num":0,"hsh":"AAAA",` + p + `,"len":5}]`,
		"num wrong":             `[` + entry(1, `"len":5`) + `]`,
		"num repeated":          `[` + good + `,` + good + `]`,
		"len zero":              `[` + entry(0, `"len":0`) + `]`,
		"len negative":          `[` + entry(0, `"len":-5`) + `]`,
		"len fraction":          `[` + entry(0, `"len":5.5`) + `]`,
		"len text":              `[` + entry(0, `"len":"5"`) + `]`,
		"len above a chunk":     `[` + entry(0, `"len":4194305`) + `]`,
		"len huge":              `[` + entry(0, `"len":9007199254740992,"lvl":1`) + `]`,
		"sum too large":         `[` + entry(0, `"len":9007199254740991,"lvl":1`) + `,` + entry(1, `"len":1,"lvl":1`) + `]`,
		"alg unknown":           `[` + entry(0, `"len":5,"alg":"gzip"`) + `]`,
		"alg none":              `[` + entry(0, `"len":5,"alg":"none"`) + `]`,
		"lvl written zero":      `[` + entry(0, `"len":5,"lvl":0`) + `]`,
		"lvl 5":                 `[` + entry(0, `"len":5,"lvl":5`) + `]`,
		"lvl 9":                 `[` + entry(0, `"len":5,"lvl":9`) + `]`,
		"lvl 256":               `[` + entry(0, `"len":5,"lvl":256`) + `]`,
		"mixed levels":          `[` + entry(0, `"len":5,"lvl":1`) + `,` + entry(1, `"len":5`) + `]`,
		"too much text":         `[` + strings.Repeat(" ", maxNodeText) + `]`,
	} {
		if _, err := ParseMap([]byte(text)); !errors.Is(err, ErrMap) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), strings.Repeat("B", 42)) {
			t.Errorf("%s: the error shows a phs", name)
		}
	}
}

// A map of too many entries stops at the limit, whether it is read or written.
func TestHugeMaps(t *testing.T) {
	many := entries(1, 0, 1)
	for len(many) < 100_000 {
		e := many[0]
		e.Num = int64(len(many))
		many = append(many, e)
	}
	if _, err := (&Map{Entries: many}).Encode(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("writing: %v", err)
	}
	if _, err := ParseMap(appendEntries(nil, many)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("reading: %v", err)
	}
	if m, err := ParseMap(appendEntries(nil, many[:MaxEntries])); err != nil || len(m.Entries) != MaxEntries {
		t.Errorf("as many as may be: %v", err)
	}
	if _, err := ParseMap(appendEntries(nil, many[:MaxEntries+1])); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one more: %v", err)
	}
}
