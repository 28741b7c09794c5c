package store_test

import (
	"testing"

	"github.com/hoft/hoft/pkg/store"
	"github.com/hoft/hoft/pkg/store/storetest"
)

func open(t testing.TB, dir string) *store.SQLite {
	t.Helper()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store { return open(t, t.TempDir()) })
}

func TestMem(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Store { return store.NewMem() })
}
