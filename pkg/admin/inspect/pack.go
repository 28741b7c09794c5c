package inspect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/hoft/hoft/pkg/chunk"
)

// pack looks at the records of a pack: only their shape can be told, for what they should be stands in an announcement
// that the recipient got sealed. Good and Bad count records.
//
// A pack of a link in signed mode is the bytes of a body and has no shape.
func (f *File) pack(path string, signed bool) error {
	if signed {
		f.Verdict = NoKeys
		f.Text = fmt.Sprintf("a pack of %d bytes of one body, as they are; whether they are whole only their announcement tells, which is in a .jws file", f.Bytes)
		return nil
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	var head [chunk.HeaderLen]byte
	at := int64(0)
	for at < f.Bytes {
		if _, err := in.ReadAt(head[:], at); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		r := chunk.Record{Len: int64(binary.BigEndian.Uint32(head[16:]))}
		switch {
		case f.Bytes-at >= chunk.HeaderLen && !r.Valid():
			f.Bad++
			f.refuse(fmt.Sprintf("a pack that is damaged, or none: no record begins at byte %d, behind %d that have the shape of one", at, f.Good),
				"nothing, if it came from a peer: what is damaged is asked for again")
			return nil
		case f.Bytes-at < chunk.HeaderLen || at+r.Size() > f.Bytes:
			f.Bad++
			f.Verdict, f.Text = Partly, fmt.Sprintf("a pack that is cut, or still grows: %d whole records, then %d bytes of another", f.Good, f.Bytes-at)
			f.Next = "nothing: the whole ones are used, the others are sent again in another pack"
			return nil
		}
		f.Good++
		at += r.Size()
	}
	f.Verdict, f.Text = NoKeys, fmt.Sprintf("a pack of %d encrypted chunks; whether they are whole only their announcement tells, which their recipient has", f.Good)
	return nil
}
