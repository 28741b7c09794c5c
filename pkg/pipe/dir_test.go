package pipe_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hoft/hoft/internal/leaks"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/pipe/pipetest"
)

func TestMain(m *testing.M) { leaks.Main(m) }

func TestDir(t *testing.T) { pipetest.Run(t, &dirs{quarantine: map[pipetest.Pipe]string{}}) }
func TestMem(t *testing.T) { pipetest.Run(t, mems{}) }

// folder is a real folder in a mover's hands.
type folder struct {
	t    *testing.T
	path string
}

func (f folder) at(path string) string { return filepath.Join(f.path, filepath.FromSlash(path)) }

func (f folder) Write(path string, data []byte) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(f.at(path)), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.at(path), data, 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f folder) Read(path string) ([]byte, bool) {
	f.t.Helper()
	data, err := os.ReadFile(f.at(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return data, true
}

func (f folder) Remove(path string) bool { return os.Remove(f.at(path)) == nil }

func (f folder) Aside(path string) (back func()) {
	f.t.Helper()
	aside := filepath.Join(f.t.TempDir(), "aside")
	move := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			f.t.Fatal(err)
		}
	}
	move(f.at(path), aside)
	return func() { move(aside, f.at(path)) }
}

func (f folder) Paths() []string {
	f.t.Helper()
	var paths []string
	if err := filepath.WalkDir(f.path, func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(f.path, p)
			paths = append(paths, filepath.ToSlash(rel))
		}
		return err
	}); err != nil {
		f.t.Fatal(err)
	}
	slices.Sort(paths)
	return paths
}

type dirs struct{ quarantine map[pipetest.Pipe]string }

func (*dirs) NewShare(t *testing.T) pipetest.Share { return folder{t, t.TempDir()} }

func (d *dirs) Open(t *testing.T, o pipe.Options, outbox, inbox pipetest.Share) pipetest.Pipe {
	t.Helper()
	o.Outbox, o.Inbox = outbox.(folder).path, inbox.(folder).path
	o.QuarantineDir = filepath.Join(t.TempDir(), "quarantine")
	p, err := pipe.OpenDir(o)
	if err != nil {
		t.Fatal(err)
	}
	d.quarantine[p] = o.QuarantineDir
	return p
}

func (d *dirs) Quarantined(t *testing.T, p pipetest.Pipe) (all [][]byte) {
	t.Helper()
	f := folder{t, d.quarantine[p]}
	for _, path := range f.Paths() {
		data, _ := f.Read(path)
		all = append(all, data)
	}
	return all
}

// memShare is a folder in memory in a mover's hands.
type memShare struct{ *pipe.MemFolder }

func (m memShare) Write(path string, data []byte)  { m.WriteFile(path, data) }
func (m memShare) Read(path string) ([]byte, bool) { return m.ReadFile(path) }

func (m memShare) Aside(path string) (back func()) {
	data, _ := m.ReadFile(path)
	m.Remove(path)
	return func() { m.WriteFile(path, data) }
}

type mems struct{}

func (mems) NewShare(*testing.T) pipetest.Share { return memShare{pipe.NewMemFolder(nil)} }

func (mems) Open(t *testing.T, o pipe.Options, outbox, inbox pipetest.Share) pipetest.Pipe {
	t.Helper()
	p, err := pipe.OpenMem(o, outbox.(memShare).MemFolder, inbox.(memShare).MemFolder)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (mems) Quarantined(_ *testing.T, p pipetest.Pipe) (all [][]byte) {
	for _, q := range p.(*pipe.Mem).Quarantined() {
		all = append(all, q.Data)
	}
	return all
}
