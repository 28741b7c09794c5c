package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// memData is the part of a memState that is about the Data API.
type memData struct {
	pins    map[[2]string]DataPin // by root and token
	uploads map[[16]byte]DataUpload
}

func newMemData() memData {
	return memData{pins: map[[2]string]DataPin{}, uploads: map[[16]byte]DataUpload{}}
}

func (s memData) clone() memData { return memData{maps.Clone(s.pins), maps.Clone(s.uploads)} }

func (s memData) apply(o op) (ok bool) {
	switch o := o.(type) {
	case putDataPin:
		p := o.DataPin
		p.Created, p.Expires = stored(p.Created), stored(p.Expires)
		s.pins[[2]string{string(p.Root[:]), p.Token}] = p
	case dropDataPin:
		delete(s.pins, [2]string{o.root, o.token})
	case putDataUpload:
		u := o.DataUpload
		u.Created, u.Expires, u.Map, u.Asked = stored(u.Created), stored(u.Expires), storedBytes(u.Map), storedBytes(u.Asked)
		s.uploads[u.ID] = u
	case dropDataUpload:
		delete(s.uploads, o.id)
	default:
		return false
	}
	return true
}

// pinsBy gives the pins that are wanted, by time of expiry, root and token.
func (s memData) pinsBy(wanted func(DataPin) bool) (out []DataPin) {
	for _, p := range s.pins {
		if wanted(p) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b DataPin) int {
		return cmp.Or(a.Expires.Compare(b.Expires), bytes.Compare(a.Root[:], b.Root[:]), cmp.Compare(a.Token, b.Token))
	})
	return out
}

// DataPins gives who keeps the data of a map, by its root.
func (m *Mem) DataPins(ctx context.Context, root [32]byte) (out []DataPin, err error) {
	err = m.read(ctx, func(s *memState) {
		out = s.data.pinsBy(func(p DataPin) bool { return p.Root == root })
		slices.SortFunc(out, func(a, b DataPin) int { return cmp.Compare(a.Token, b.Token) })
	})
	return out, err
}

// DataPinsDue gives pins whose time is over, the earliest first.
func (m *Mem) DataPinsDue(ctx context.Context, at time.Time, limit int) (out []DataPin, err error) {
	err = m.read(ctx, func(s *memState) {
		out = s.data.pinsBy(func(p DataPin) bool { return !p.Expires.IsZero() && toMilli(p.Expires) <= toMilli(at) })
	})
	return out[:min(len(out), max(limit, 0))], err
}

// DataUpload gives an upload, or ErrNotFound.
func (m *Mem) DataUpload(ctx context.Context, id [16]byte) (u DataUpload, err error) {
	found := false
	err = m.read(ctx, func(s *memState) { u, found = s.data.uploads[id] })
	if err == nil && !found {
		err = fmt.Errorf("store: read an upload: %w", ErrNotFound)
	}
	return u, err
}

// DataUploadsDue gives uploads whose time is over, the earliest first.
func (m *Mem) DataUploadsDue(ctx context.Context, at time.Time, limit int) (out []DataUpload, err error) {
	err = m.read(ctx, func(s *memState) {
		for _, u := range s.data.uploads {
			if toMilli(u.Expires) <= toMilli(at) {
				out = append(out, u)
			}
		}
	})
	slices.SortFunc(out, func(a, b DataUpload) int {
		return cmp.Or(a.Expires.Compare(b.Expires), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return out[:min(len(out), max(limit, 0))], err
}

// DataStats gives what the Data API keeps.
func (m *Mem) DataStats(ctx context.Context) (st DataStats, err error) {
	err = m.read(ctx, func(s *memState) {
		for _, p := range s.data.pins {
			st.Pins++
			st.Bytes += p.Size
		}
	})
	return st, err
}
