package chunk

import (
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Map is a data map: how data is found and opened. It is a secret: whoever has it (and the chunks) has the data.
// Either Cnt is the data itself, or Entries lists the chunks, all of one level.
type Map struct {
	// Cnt is the content of short data, when there are no Entries. Empty for empty data.
	Cnt []byte
	// Entries lists the chunks in order.
	Entries []Entry
}

// Size is the length of the data in bytes.
func (m *Map) Size() int64 {
	if len(m.Entries) == 0 {
		return int64(len(m.Cnt))
	}
	var n int64
	for i := range m.Entries {
		n += m.Entries[i].Len
	}
	return n
}

// Level is the level of the entries: 0 when they are the data's own chunks.
func (m *Map) Level() int {
	if len(m.Entries) == 0 {
		return 0
	}
	return int(m.Entries[0].Lvl)
}

// String shows size and number of entries alone.
func (m Map) String() string {
	return fmt.Sprintf("data map of %d bytes, %d entries of level %d", m.Size(), len(m.Entries), m.Level())
}

// Format gives String for every verb.
func (m Map) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, m.String()) }

// MarshalJSON gives Redacted: Encode is the one way to write a map.
func (Map) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// Encode gives the map's JSON, secrets included: for sealed messages, for the chunks of a nested map, and for the
// owner of the data. A map that ParseMap would refuse is an error.
func (m *Map) Encode() ([]byte, error) {
	if len(m.Entries) == 0 {
		if len(m.Cnt) > MaxInline {
			return nil, fmt.Errorf("%w: %w: content of %d bytes, at most %d", ErrMap, ErrTooLarge, len(m.Cnt), MaxInline)
		}
		b := append(make([]byte, 0, 16+len(m.Cnt)*4/3), `{"cnt":"`...)
		b = base64.RawURLEncoding.AppendEncode(b, m.Cnt)
		return append(b, `"}`...), nil
	}
	if _, err := checkEntries(m.Entries); err != nil {
		return nil, err
	}
	return appendEntries(nil, m.Entries), nil
}

// entryLen is about the length of one entry in JSON, in bytes.
const entryLen = len(`{"num":1023,"hsh":"","phs":"","len":1048576,"alg":"zstd"},`) + 2*43

// appendEntries writes a node. The lengths of level and numbers follow from the values alone, so equal nodes are equal bytes.
func appendEntries(dst []byte, entries []Entry) []byte {
	dst = slices.Grow(dst, 2+len(entries)*entryLen)
	sep := byte('[')
	for i := range entries {
		e := &entries[i]
		dst = append(dst, sep)
		dst = append(dst, `{"num":`...)
		dst = strconv.AppendInt(dst, e.Num, 10)
		dst = append(dst, `,"hsh":"`...)
		dst = base64.RawURLEncoding.AppendEncode(dst, e.Hsh[:])
		if e.Alg != AlgPlain {
			dst = append(dst, `","phs":"`...)
			dst = base64.RawURLEncoding.AppendEncode(dst, e.Phs[:])
		}
		dst = append(dst, `","len":`...)
		dst = strconv.AppendInt(dst, e.Len, 10)
		if e.Alg != AlgNone {
			dst = append(append(append(dst, `,"alg":"`...), e.Alg.String()...), '"')
		}
		if e.Lvl > 0 {
			dst = append(dst, `,"lvl":`...)
			dst = strconv.AppendUint(dst, uint64(e.Lvl), 10)
		}
		dst = append(dst, '}')
		sep = ','
	}
	return append(dst, ']')
}

// ParseMap reads a map's JSON strictly: every member known, once, in its own spelling and range. What it returns has
// passed every check that needs no chunk; compare Size with what the place allows before using it.
func ParseMap(b []byte) (Map, error) {
	if len(b) > maxNodeText {
		return Map{}, fmt.Errorf("%w: %w: %d bytes of JSON", ErrMap, ErrTooLarge, len(b))
	}
	switch jsontext.Value(b).Kind() {
	case '{':
		return parseInline(b)
	case '[':
		entries, _, err := parseEntries(b, false)
		return Map{Entries: entries}, err
	}
	return Map{}, fmt.Errorf("%w: neither an object nor a list", ErrMap)
}

// maxNodeText bounds the JSON of a map in bytes: MaxEntries with long numbers and some space.
const maxNodeText = MaxEntries * 256

type inlineJSON struct {
	Cnt *blob `json:"cnt"`
}

type entryJSON struct {
	Num *int64  `json:"num"`
	Hsh *blob   `json:"hsh"`
	Phs *blob   `json:"phs"`
	Len *int64  `json:"len"`
	Alg *string `json:"alg"`
	Lvl *uint8  `json:"lvl"`
}

var strict = json.JoinOptions(json.RejectUnknownMembers(true), json.MatchCaseInsensitiveNames(false))

func parseInline(b []byte) (Map, error) {
	var in inlineJSON
	if err := json.Unmarshal(b, &in, strict); err != nil {
		return Map{}, badJSON(err)
	}
	if in.Cnt == nil {
		return Map{}, fmt.Errorf("%w: cnt is missing", ErrMap)
	}
	if len(*in.Cnt) > MaxInline {
		return Map{}, fmt.Errorf("%w: %w: content of %d bytes, at most %d", ErrMap, ErrTooLarge, len(*in.Cnt), MaxInline)
	}
	return Map{Cnt: *in.Cnt}, nil
}

// parseEntries reads and checks a node, of sealed or of plain chunks, and gives the bytes of data it stands for.
func parseEntries(b []byte, plain bool) ([]Entry, int64, error) {
	d := jsontext.NewDecoder(newBytesReader(b))
	if _, err := d.ReadToken(); err != nil {
		return nil, 0, badJSON(err)
	}
	var entries []Entry
	for d.PeekKind() != ']' {
		if len(entries) == MaxEntries { // before more memory is taken
			return nil, 0, fmt.Errorf("%w: %w: more than %d entries", ErrMap, ErrTooLarge, MaxEntries)
		}
		var in entryJSON
		if err := json.UnmarshalDecode(d, &in, strict); err != nil {
			return nil, 0, badJSON(err)
		}
		e, err := in.entry(plain)
		if err != nil {
			return nil, 0, fmt.Errorf("%w: entry %d: %w", ErrMap, len(entries), err)
		}
		entries = append(entries, e)
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, 0, badJSON(err)
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return nil, 0, fmt.Errorf("%w: something behind the list", ErrMap)
	}
	size, err := checkEntries(entries)
	if err != nil {
		return nil, 0, err
	}
	return entries, size, nil
}

func (in *entryJSON) entry(plain bool) (e Entry, err error) {
	if plain {
		return in.plainEntry()
	}
	if in.Num == nil || in.Len == nil || in.Hsh == nil || in.Phs == nil {
		return e, fmt.Errorf("num, hsh, phs and len must be there")
	}
	if len(*in.Hsh) != len(e.Hsh) || len(*in.Phs) != len(e.Phs) {
		return e, fmt.Errorf("hsh and phs must have 32 bytes")
	}
	e.Num, e.Len, e.Hsh, e.Phs = *in.Num, *in.Len, Sum(*in.Hsh), Phs(*in.Phs)
	if in.Alg != nil {
		if *in.Alg != zstdWord {
			return e, fmt.Errorf("unknown coding")
		}
		e.Alg = AlgZstd
	}
	if in.Lvl != nil {
		if *in.Lvl == 0 {
			return e, fmt.Errorf("level 0 is not written")
		}
		e.Lvl = *in.Lvl
	}
	return e, nil
}

// plainEntry is entry for a plain chunk: it has no phs and no level.
func (in *entryJSON) plainEntry() (e Entry, err error) {
	if in.Alg == nil || *in.Alg != plainWord || in.Phs != nil || in.Lvl != nil {
		return e, fmt.Errorf("not a plain chunk")
	}
	if in.Num == nil || in.Len == nil || in.Hsh == nil || len(*in.Hsh) != len(e.Hsh) {
		return e, fmt.Errorf("num, hsh (32 bytes) and len must be there")
	}
	return Entry{Num: *in.Num, Len: *in.Len, Hsh: Sum(*in.Hsh), Alg: AlgPlain}, nil
}
