package store

import (
	"context"
	"fmt"
	"time"
)

// DataPin says that somebody keeps data of the Direct Data API.
type DataPin struct {
	Root    [32]byte // SHA-256 of the map's JSON
	Token   string   // name of who keeps it
	Owner   [16]byte // of its chunks (chunk.Owner)
	Size    int64    // bytes of data
	Created time.Time
	Expires time.Time // zero: never
}

// DataUpload is an upload under way, or one that has ended lately.
type DataUpload struct {
	ID        [16]byte // the owner of its chunks too (chunk.Owner)
	Token     string
	Resumable bool
	Complete  bool
	Length    int64  // of the whole, -1: not known
	Map       []byte // JSON of what has come; a secret
	Asked     []byte // opaque here
	Created   time.Time
	Expires   time.Time
}

// DataStats is what the Data API keeps, in numbers.
type DataStats struct {
	Pins, Bytes int64
}

type (
	putDataPin     struct{ DataPin }
	dropDataPin    struct{ root, token string }
	putDataUpload  struct{ DataUpload }
	dropDataUpload struct{ id [16]byte }
)

func (putDataPin) isOp()     {}
func (dropDataPin) isOp()    {}
func (putDataUpload) isOp()  {}
func (dropDataUpload) isOp() {}

// PutDataPin stores a pin, replacing that of the same root and token. Chunks are pinned apart (Chunks).
func (b *Batch) PutDataPin(p DataPin) { b.ops = append(b.ops, putDataPin{p}) }

// DropDataPin deletes a pin; an unknown one is no error.
func (b *Batch) DropDataPin(root [32]byte, token string) {
	b.ops = append(b.ops, dropDataPin{string(root[:]), token})
}

// PutDataUpload stores an upload, replacing what was there under its id.
func (b *Batch) PutDataUpload(u DataUpload) { b.ops = append(b.ops, putDataUpload{u}) }

// DropDataUpload deletes an upload; an unknown one is no error.
func (b *Batch) DropDataUpload(id [16]byte) { b.ops = append(b.ops, dropDataUpload{id}) }

const (
	sqlPutDataPin = `INSERT INTO data_pins (root, token, owner, size, created, expires) VALUES (?,?,?,?,?,?)
 ON CONFLICT (root, token) DO UPDATE SET owner = excluded.owner, size = excluded.size, created = excluded.created, expires = excluded.expires`
	sqlDropDataPin    = `DELETE FROM data_pins WHERE root = ? AND token = ?`
	sqlPutDataUpload  = `INSERT OR REPLACE INTO data_uploads (id, token, resumable, complete, length, map, asked, created, expires) VALUES (?,?,?,?,?,?,?,?,?)`
	sqlDropDataUpload = `DELETE FROM data_uploads WHERE id = ?`

	dataPinColumns    = `root, token, owner, size, created, expires`
	sqlDataPins       = `SELECT ` + dataPinColumns + ` FROM data_pins WHERE root = ? ORDER BY token`
	sqlDataPinsDue    = `SELECT ` + dataPinColumns + ` FROM data_pins INDEXED BY data_pins_expires WHERE expires > 0 AND expires <= ? ORDER BY expires, root, token LIMIT ?`
	dataUploadColumns = `id, token, resumable, complete, length, map, asked, created, expires`
	sqlDataUpload     = `SELECT ` + dataUploadColumns + ` FROM data_uploads WHERE id = ?`
	sqlDataUploadsDue = `SELECT ` + dataUploadColumns + ` FROM data_uploads INDEXED BY data_uploads_expires WHERE expires <= ? ORDER BY expires, id LIMIT ?`
	sqlDataStats      = `SELECT n FROM counters WHERE name = ?`
)

// applyData applies a change of the Data API; ok is false when it is another's.
func (t *tx) applyData(o op) (ok bool, err error) {
	switch o := o.(type) {
	case putDataPin:
		_, err = t.s.exec(sqlPutDataPin, o.Root[:], o.Token, o.Owner[:], o.Size, toMilli(o.Created), toMilli(o.Expires))
	case dropDataPin:
		_, err = t.s.exec(sqlDropDataPin, []byte(o.root), o.token)
	case putDataUpload:
		_, err = t.s.exec(sqlPutDataUpload, o.ID[:], o.Token, toBool(o.Resumable), toBool(o.Complete), o.Length, orNil(o.Map), orNil(o.Asked),
			toMilli(o.Created), toMilli(o.Expires))
	case dropDataUpload:
		_, err = t.s.exec(sqlDropDataUpload, o.id[:])
	default:
		return false, nil
	}
	return true, err
}

// DataPins gives who keeps the data of a map, by its root.
func (r *reader) DataPins(ctx context.Context, root [32]byte) ([]DataPin, error) {
	return r.dataPins(ctx, sqlDataPins, root[:])
}

// DataPinsDue gives pins whose time is over, the earliest first.
func (r *reader) DataPinsDue(ctx context.Context, at time.Time, limit int) ([]DataPin, error) {
	return r.dataPins(ctx, sqlDataPinsDue, toMilli(at), int64(max(limit, 0)))
}

func (r *reader) dataPins(ctx context.Context, query string, args ...any) (out []DataPin, err error) {
	err = r.with(ctx, func(s *session) error {
		return s.query(ctx, func(row row) error {
			var p DataPin
			var root, owner []byte
			var created, expires int64
			if err := row.Scan(&root, &p.Token, &owner, &p.Size, &created, &expires); err != nil {
				return err
			}
			copy(p.Root[:], root)
			p.Created, p.Expires = fromMilli(created), fromMilli(expires)
			err := setID(&p.Owner, owner)
			out = append(out, p)
			return err
		}, query, args...)
	})
	if err != nil {
		return nil, fmt.Errorf("store: read pins of data: %w", err)
	}
	return out, nil
}

// DataUpload gives an upload, or ErrNotFound.
func (r *reader) DataUpload(ctx context.Context, id [16]byte) (DataUpload, error) {
	rows, err := r.dataUploads(ctx, sqlDataUpload, id[:])
	if err == nil && len(rows) == 0 {
		err = fmt.Errorf("store: read an upload: %w", ErrNotFound)
	}
	if err != nil {
		return DataUpload{}, err
	}
	return rows[0], nil
}

// DataUploadsDue gives uploads whose time is over, the earliest first.
func (r *reader) DataUploadsDue(ctx context.Context, at time.Time, limit int) ([]DataUpload, error) {
	return r.dataUploads(ctx, sqlDataUploadsDue, toMilli(at), int64(max(limit, 0)))
}

func (r *reader) dataUploads(ctx context.Context, query string, args ...any) (out []DataUpload, err error) {
	err = r.with(ctx, func(s *session) error {
		return s.query(ctx, func(row row) error {
			var u DataUpload
			var id []byte
			var created, expires int64
			if err := row.Scan(&id, &u.Token, &u.Resumable, &u.Complete, &u.Length, &u.Map, &u.Asked, &created, &expires); err != nil {
				return err
			}
			u.Created, u.Expires = fromMilli(created), fromMilli(expires)
			err := setID(&u.ID, id)
			out = append(out, u)
			return err
		}, query, args...)
	})
	if err != nil {
		return nil, fmt.Errorf("store: read uploads: %w", err)
	}
	return out, nil
}

// DataStats gives what the Data API keeps.
func (r *reader) DataStats(ctx context.Context) (s DataStats, err error) {
	if s.Pins, err = r.number(ctx, "pins of data", sqlDataStats, "data_pins"); err != nil {
		return s, err
	}
	s.Bytes, err = r.number(ctx, "bytes of data", sqlDataStats, "data_bytes")
	return s, err
}
