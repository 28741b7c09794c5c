package bulk

import (
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/frame"
)

// The data of each kind of message (docs/protocol.md "Packs and chunks").

// PackData announces a pack: the records of one exchange, and behind them those of others that were ready at the same time.
type PackData struct {
	Seq      uint64  `json:"seq"`
	Exchange ID      `json:"exchange"`
	Recs     Records `json:"recs"`
	Also     []Part  `json:"also,omitempty"`
}

// Part is the records of one exchange in a pack.
type Part struct {
	Exchange ID      `json:"exchange"`
	Recs     Records `json:"recs"`
}

// HaveData tells what came of a pack.
type HaveData struct {
	Seq uint64 `json:"seq"`
	// Miss is the places of the records that did not come whole, ascending.
	Miss []int `json:"miss,omitempty"`
	// Unwanted is the places of records of exchanges that are over, ascending; none of them is in Miss.
	Unwanted []int `json:"unwanted,omitempty"`
	// Unseen says that nothing of the file has come yet: the answer to a probe.
	Unseen bool `json:"unseen,omitzero"`
	// Over says that nothing of the pack is wanted any more: the answer to a probe.
	Over bool `json:"over,omitzero"`
}

// ProbeData asks what came of a pack.
type ProbeData struct {
	Seq uint64 `json:"seq"`
}

// FetchData asks for chunks of stored data.
type FetchData struct {
	Exchange ID     `json:"exchange"`
	Recs     Wishes `json:"recs"`
}

// NamesData is what want and gone have.
type NamesData struct {
	Exchange ID    `json:"exchange"`
	Names    Names `json:"names"`
}

// Records is a list of records in JSON: [["name","hsh",len], …], name and hsh in base64url.
type Records []chunk.Record

// Wishes is a list of wished chunks in JSON: [["name","hsh"], …] in base64url.
type Wishes []Wish

// Names is a list of chunk names in base64url.
type Names []chunk.Name

// ErrData is wrapped by every error of decoding.
var ErrData = errors.New("message data refused")

// Decode reads the data of a message strictly and checks its limits.
func Decode[T any](data []byte) (*T, error) {
	var v T
	if err := json.Unmarshal(data, &v, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrData, err)
	}
	if c, ok := any(&v).(interface{ check() error }); ok {
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrData, err)
		}
	}
	return &v, nil
}

// checkSeq refuses what is no file's number: the store could not even hold it.
func checkSeq(seq uint64) error {
	if seq > frame.MaxSeq {
		return errors.New("no file has this number")
	}
	return nil
}

func (d *ProbeData) check() error { return checkSeq(d.Seq) }

func (d *PackData) check() error {
	if err := checkSeq(d.Seq); err != nil {
		return err
	}
	if len(d.Also) >= maxRuns {
		return fmt.Errorf("a pack has records of 1 to %d exchanges", maxRuns)
	}
	n := 0
	seen := map[ID]bool{}
	for part := range d.parts {
		if n += len(part.Recs); len(part.Recs) == 0 || n > maxRecords {
			return fmt.Errorf("a pack has 1 to %d records, and at least one of each exchange", maxRecords)
		}
		if seen[part.Exchange] {
			return errors.New("an exchange comes twice in a pack")
		}
		seen[part.Exchange] = true
	}
	return nil
}

// parts gives the records of each exchange, in the order in which they lie in the pack.
func (d *PackData) parts(yield func(Part) bool) {
	if !yield(Part{d.Exchange, d.Recs}) {
		return
	}
	for _, p := range d.Also {
		if !yield(p) {
			return
		}
	}
}

// all gives the records of all exchanges, and whose they are.
func (d *PackData) all() (recs []chunk.Record, runs []Run) {
	if len(d.Also) == 0 {
		return d.Recs, []Run{{d.Exchange, len(d.Recs)}}
	}
	for part := range d.parts {
		recs = append(recs, part.Recs...)
		runs = append(runs, Run{part.Exchange, len(part.Recs)})
	}
	return recs, runs
}

func (d *HaveData) check() error {
	if err := checkSeq(d.Seq); err != nil {
		return err
	}
	var told [maxRecords]bool
	for _, places := range [][]int{d.Miss, d.Unwanted} {
		last := -1
		for _, i := range places {
			if i <= last || i >= maxRecords {
				return errors.New("places are not ascending or out of range")
			}
			if told[i] {
				return errors.New("a place is missing and not wanted")
			}
			last, told[i] = i, true
		}
	}
	if d.Over && (d.Unseen || len(d.Miss)+len(d.Unwanted) > 0) || d.Unseen && len(d.Unwanted) > 0 {
		return errors.New("of a pack that is over or unseen there is nothing more to be told")
	}
	return nil
}

func (d *NamesData) check() error {
	if len(d.Names) == 0 || len(d.Names) > maxNames {
		return fmt.Errorf("1 to %d names", maxNames)
	}
	return nil
}

func (d *FetchData) check() error {
	if len(d.Recs) == 0 || len(d.Recs) > maxWishes {
		return fmt.Errorf("1 to %d chunks", maxWishes)
	}
	return nil
}

const (
	// maxNames is how many names one message holds.
	maxNames = 1024
	// maxWishes is how many chunks of stored data one message asks for.
	maxWishes = 640
)

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // numbers and base64 always encode
	}
	return b
}

// MarshalJSONTo writes the list.
func (r Records) MarshalJSONTo(e *jsontext.Encoder) error {
	b := append(make([]byte, 0, 80*len(r)+2), '[')
	for i, x := range r {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `["`...)
		b = base64.RawURLEncoding.AppendEncode(b, x.Name[:])
		b = append(b, `","`...)
		b = base64.RawURLEncoding.AppendEncode(b, x.Hsh[:])
		b = fmt.Appendf(b, `",%d]`, x.Len)
	}
	return e.WriteValue(append(b, ']'))
}

// UnmarshalJSONFrom reads exactly what MarshalJSONTo writes.
func (r *Records) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	var raw [][]jsontext.Value
	if err := json.UnmarshalDecode(d, &raw); err != nil {
		return err
	}
	if len(raw) > maxRecords {
		return errors.New("too many records")
	}
	out := make(Records, len(raw))
	for i, v := range raw {
		if len(v) != 3 {
			return errors.New("a record is name, hsh and len")
		}
		if err := errors.Join(fixed(out[i].Name[:], v[0]), fixed(out[i].Hsh[:], v[1]), json.Unmarshal(v[2], &out[i].Len)); err != nil {
			return err
		}
		if !out[i].Valid() {
			return errors.New("length of a record out of range")
		}
	}
	*r = out
	return nil
}

// MarshalJSONTo writes the list.
func (w Wishes) MarshalJSONTo(e *jsontext.Encoder) error {
	b := append(make([]byte, 0, 75*len(w)+2), '[')
	for i, x := range w {
		if i > 0 {
			b = append(b, ',')
		}
		b = base64.RawURLEncoding.AppendEncode(append(b, `["`...), x.Name[:])
		b = base64.RawURLEncoding.AppendEncode(append(b, `","`...), x.Hsh[:])
		b = append(b, `"]`...)
	}
	return e.WriteValue(append(b, ']'))
}

// UnmarshalJSONFrom reads exactly what MarshalJSONTo writes.
func (w *Wishes) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	var raw [][]jsontext.Value
	if err := json.UnmarshalDecode(d, &raw); err != nil {
		return err
	}
	if len(raw) > maxWishes {
		return errors.New("too many chunks")
	}
	out := make(Wishes, len(raw))
	for i, v := range raw {
		if len(v) != 2 {
			return errors.New("a chunk is name and hsh")
		}
		if err := errors.Join(fixed(out[i].Name[:], v[0]), fixed(out[i].Hsh[:], v[1])); err != nil {
			return err
		}
	}
	*w = out
	return nil
}

// MarshalJSONTo writes the list.
func (n Names) MarshalJSONTo(e *jsontext.Encoder) error {
	b := append(make([]byte, 0, 25*len(n)+2), '[')
	for i, x := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(base64.RawURLEncoding.AppendEncode(append(b, '"'), x[:]), '"')
	}
	return e.WriteValue(append(b, ']'))
}

// UnmarshalJSONFrom reads exactly what MarshalJSONTo writes.
func (n *Names) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	var raw []jsontext.Value
	if err := json.UnmarshalDecode(d, &raw); err != nil {
		return err
	}
	if len(raw) > maxNames {
		return errors.New("too many names")
	}
	out := make(Names, len(raw))
	for i, v := range raw {
		if err := fixed(out[i][:], v); err != nil {
			return err
		}
	}
	*n = out
	return nil
}

var strict = base64.RawURLEncoding.Strict()

// fixed decodes a base64url string of exactly len(dst) bytes.
func fixed(dst []byte, v jsontext.Value) error {
	if len(v) != base64.RawURLEncoding.EncodedLen(len(dst))+2 || v[0] != '"' {
		return errors.New("want base64url of the right length")
	}
	for _, c := range v[1 : len(v)-1] {
		if c == '\n' || c == '\r' {
			return errors.New("line break in base64url")
		}
	}
	n, err := strict.Decode(dst, v[1:len(v)-1])
	if err == nil && n != len(dst) {
		err = errors.New("want base64url of the right length")
	}
	return err
}
