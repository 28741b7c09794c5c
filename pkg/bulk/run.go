package bulk

import (
	"encoding/binary"

	"github.com/hoft/hoft/pkg/chunk"
)

// Run says that the next N records of a pack are chunks of an exchange.
type Run struct {
	Exchange ID
	N        int
}

// maxRuns is how many exchanges one pack has chunks of. With maxRecords records its announcement stays below
// frame.MaxMessage.
const maxRuns = 128

// owners gives the exchange of each record.
func owners(runs []Run) (xs []ID) {
	for _, r := range runs {
		for range r.N {
			xs = append(xs, r.Exchange)
		}
	}
	return xs
}

// announcement gives the message for records in runs.
func announcement(seq uint64, recs []chunk.Record, runs []Run) PackData {
	d := PackData{Seq: seq, Exchange: runs[0].Exchange, Recs: recs[:runs[0].N]}
	recs = recs[runs[0].N:]
	for _, r := range runs[1:] {
		d.Also = append(d.Also, Part{r.Exchange, recs[:r.N]})
		recs = recs[r.N:]
	}
	return d
}

// runSize is the stored form of a run: exchange, number of records (2 bytes, big endian).
const runSize = 16 + 2

// PackRuns gives the stored form of the runs of a pack, nil for a single one.
func PackRuns(runs []Run) (b []byte) {
	if len(runs) < 2 {
		return nil
	}
	for _, r := range runs {
		b = binary.BigEndian.AppendUint16(append(b, r.Exchange[:]...), uint16(r.N))
	}
	return b
}

// UnpackRuns reads what PackRuns gives. Of a pack that has none stored all records are of exchange x; with no x it has none.
func UnpackRuns(b []byte, x ID, recs []chunk.Record) (runs []Run, err error) {
	switch {
	case len(b)%runSize != 0:
		return nil, ErrStored
	case x == (ID{}):
		return nil, nil
	case len(b) == 0:
		return []Run{{x, len(recs)}}, nil
	}
	n := 0
	for ; len(b) > 0; b = b[runSize:] {
		r := Run{ID(b[:16]), int(binary.BigEndian.Uint16(b[16:]))}
		n += r.N
		runs = append(runs, r)
	}
	if recs != nil && n != len(recs) {
		return nil, ErrStored
	}
	return runs, nil
}
