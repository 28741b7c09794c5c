package store

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/hoft/hoft/pkg/frame"
)

// toMilli gives unix milliseconds, 0 for the zero time and for times before 1970.
func toMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(t.UnixMilli(), 0)
}

// fromMilli is the reverse of toMilli: 0 (and what is not a time) gives the zero time.
func fromMilli(ms int64) time.Time {
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// openMark is what the column acked of an outbox row holds while there is no ack: see migrations/001.
func openMark(createdMilli int64) int64 { return min(-createdMilli, -1) }

// orNil gives b, or a nil interface for no bytes: both are stored as NULL.
func orNil(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// idOrNil gives an exchange id as a value, nil for the zero id: it belongs to none.
func idOrNil(id *[16]byte) any {
	if *id == ([16]byte{}) {
		return nil
	}
	return id[:]
}

func toBool(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// setID copies a stored id; NULL gives the zero id.
func setID(dst *[16]byte, b []byte) error {
	if len(b) != 0 && len(b) != len(dst) {
		return fmt.Errorf("stored id has %d bytes, want 16", len(b))
	}
	*dst = [16]byte{}
	copy(dst[:], b)
	return nil
}

// rangesText is the stored form of ranges: [[lo,hi],…].
func rangesText(r frame.Ranges) string {
	if len(r) == 0 {
		return "[]"
	}
	b := make([]byte, 0, 24*len(r))
	sep := byte('[')
	for _, x := range r {
		b = append(b, sep, '[')
		b = strconv.AppendUint(b, x[0], 10)
		b = append(b, ',')
		b = strconv.AppendUint(b, x[1], 10)
		b = append(b, ']')
		sep = ','
	}
	return string(append(b, ']'))
}

func parseRanges(s string) (frame.Ranges, error) {
	if s == "[]" {
		return nil, nil
	}
	var r frame.Ranges
	if err := json.Unmarshal([]byte(s), &r); err != nil {
		return nil, fmt.Errorf("stored ranges: %w", err)
	}
	if !r.Valid() {
		return nil, errors.New("stored ranges are not in order")
	}
	return r, nil
}

// wordsText is the stored form of a list of words: a JSON array.
func wordsText(words []string) (string, error) {
	if len(words) == 0 {
		return "[]", nil
	}
	b, err := json.Marshal(words)
	return string(b), err
}

func parseWords(s string) ([]string, error) {
	if s == "[]" {
		return nil, nil
	}
	var words []string
	if err := json.Unmarshal([]byte(s), &words); err != nil {
		return nil, fmt.Errorf("stored words: %w", err)
	}
	return words, nil
}

// bounded gives an interval within what a column can hold; ok is false if nothing of it is.
func bounded(r frame.Range) (lo, hi int64, ok bool) {
	if r[0] > math.MaxInt64 || r[0] > r[1] {
		return 0, 0, false
	}
	return int64(r[0]), int64(min(r[1], math.MaxInt64)), true
}
