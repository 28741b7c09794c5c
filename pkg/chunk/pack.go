package chunk

import (
	"fmt"
	"io"
)

// MaxPackRecords bounds the records of one pack: what one announcement may list.
const MaxPackRecords = 4096

// PackSize gives the length in bytes of a pack that holds these records.
func PackSize(recs []Record) (n int64) {
	for _, r := range recs {
		n += r.Size()
	}
	return n
}

// Pack reads what came of an announced pack: records one after the other, without anything before, between or behind
// them. Because the announcement says which records lie where, a bad record spoils no other, and a cut pack gives all
// that lies whole before the cut. Not safe for concurrent use.
type Pack struct {
	src  io.ReaderAt
	size int64
	recs []Record
	next int
	at   int64 // where record next begins
	head [HeaderLen]byte
}

// OpenPack starts to read the records announced from a file of size bytes, which may be shorter or longer than announced.
func OpenPack(src io.ReaderAt, size int64, recs []Record) (*Pack, error) {
	if len(recs) > MaxPackRecords {
		return nil, fmt.Errorf("%w: a pack of %d records, at most %d", ErrTooLarge, len(recs), MaxPackRecords)
	}
	for i, r := range recs {
		if !r.Valid() {
			return nil, fmt.Errorf("%w: record %d has %d bytes", ErrTooLarge, i, r.Len)
		}
	}
	return &Pack{src: src, size: size, recs: recs}, nil
}

// Piece is one record of a pack as it came.
type Piece struct {
	// Index is the record's place in the announcement.
	Index  int
	Record Record
	// At is where the record begins in the pack, in bytes; its ciphertext begins at At + HeaderLen.
	At int64
	// Raw is the whole record with its header, in the buffer given to Next. Nil when Err is set.
	Raw []byte
	// Err is nil for a record that is as announced; ErrMissing for one behind the end of the file, ErrDamaged for another.
	Err error
}

// Bytes is the ciphertext.
func (p *Piece) Bytes() []byte { return p.Raw[HeaderLen:] }

// Next reads and checks the next record: header, length, hash. buf is used where its capacity suffices (HeaderLen +
// MaxSealed always does) and is the caller's again when the piece is done with. io.EOF comes after the last record;
// other errors are those of reading. What is wrong with a record is in the Piece.
func (p *Pack) Next(buf []byte) (Piece, error) {
	if p.next == len(p.recs) {
		return Piece{}, io.EOF
	}
	r := p.recs[p.next]
	out := Piece{Index: p.next, Record: r, At: p.at}
	p.next++
	p.at += r.Size()
	if p.at > p.size {
		out.Err = ErrMissing
		return out, nil
	}
	if int64(cap(buf)) < r.Size() {
		buf = make([]byte, r.Size())
	}
	raw := buf[:r.Size()]
	n, err := p.src.ReadAt(raw, out.At)
	if n < len(raw) {
		if err == io.EOF { // the file is shorter than it was
			out.Err = ErrMissing
			return out, nil
		}
		return out, fmt.Errorf("read record %d of a pack: %w", out.Index, err)
	}
	if out.Err = p.check(r, raw); out.Err == nil {
		out.Raw = raw
	}
	return out, nil
}

func (p *Pack) check(r Record, raw []byte) error {
	if string(raw[:HeaderLen]) != string(r.AppendHeader(p.head[:0])) {
		return fmt.Errorf("%w: another record lies here", ErrDamaged)
	}
	return r.Verify(raw[HeaderLen:])
}
