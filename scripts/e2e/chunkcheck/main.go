// Command chunkcheck reads every chunk that the database of a stopped site lists and checks it against its hash. It
// prints what it found as JSON and fails when anything is not as it should be.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/store"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: chunkcheck STATE-DIR")
		os.Exit(2)
	}
	r, err := check(context.Background(), os.Args[1])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(r)
	}
	if err == nil && r.Bad > 0 {
		err = fmt.Errorf("%d of %d chunks are not as they were stored", r.Bad, r.Chunks)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chunkcheck:", err)
		os.Exit(1)
	}
}

// result is what is printed.
type result struct {
	Files, Chunks, Bad int
	Bytes              int64
}

func check(ctx context.Context, dir string) (r result, err error) {
	db, err := store.OpenReadOnly(dir)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	files, err := db.ChunkFiles(ctx)
	if err != nil {
		return r, err
	}
	for _, f := range files {
		rows, err := db.ChunksIn(ctx, f.ID)
		if err != nil {
			return r, err
		}
		if err := r.file(filepath.Join(dir, "chunks", fmt.Sprintf("%016x.chunks", f.ID)), rows); err != nil {
			return r, err
		}
		r.Files++
	}
	return r, nil
}

// file reads the records of one file.
func (r *result) file(name string, rows []chunk.Row) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, row := range rows {
		raw := make([]byte, row.Size())
		if _, err := f.ReadAt(raw, row.At); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if string(raw[:chunk.HeaderLen]) != string(row.AppendHeader(nil)) || row.Verify(raw[chunk.HeaderLen:]) != nil {
			r.Bad++
		}
		r.Chunks++
		r.Bytes += row.Size()
	}
	return nil
}
