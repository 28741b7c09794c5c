package pipe_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/pipe"
	"github.com/hoft/hoft/pkg/pipe/pipetest"
)

// options gives B's options on fresh folders that OpenDir is to make.
func options(t testing.TB) pipe.Options {
	t.Helper()
	dir := t.TempDir()
	return pipe.Options{
		Self: pipetest.B, Peers: []identity.ID{pipetest.A, pipetest.C},
		Outbox: filepath.Join(dir, "out"), Inbox: filepath.Join(dir, "in"), QuarantineDir: filepath.Join(dir, "quarantine"),
	}
}

func openDir(t testing.TB, o pipe.Options) *pipe.Dir {
	t.Helper()
	d, err := pipe.OpenDir(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// must fails the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inboxFile gives the path where a file from A to B lies in the inbox.
func inboxFile(o pipe.Options, seq uint64) string {
	return filepath.Join(o.Inbox, filepath.FromSlash(pipetest.Path(pipetest.Name(pipetest.A, pipetest.B, seq))))
}

func outboxFile(o pipe.Options, seq uint64) string {
	return filepath.Join(o.Outbox, filepath.FromSlash(pipetest.Path(pipetest.Name(pipetest.B, pipetest.A, seq))))
}

func scan(t testing.TB, d *pipe.Dir, now time.Time, want int) []pipe.File {
	t.Helper()
	files, err := d.Scan(now)
	must(t, err)
	if len(files) != want {
		t.Fatalf("found %v, want %d", files, want)
	}
	return files
}

func TestOpenMakesFolders(t *testing.T) {
	o := options(t)
	d := openDir(t, o)
	must(t, d.Check())
	for _, dir := range []string{o.Outbox, o.Inbox, filepath.Join(o.Outbox, pipetest.A.String()), filepath.Join(o.Outbox, pipetest.C.String()), filepath.Join(o.Inbox, pipetest.B.String())} {
		if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
			t.Errorf("%s: %v, %v", dir, fi, err)
		}
	}
	if paths := (folder{t, filepath.Dir(o.Outbox)}).Paths(); len(paths) != 0 {
		t.Errorf("check left %q", paths)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, change := range map[string]func(*pipe.Options){
		"no self":           func(o *pipe.Options) { o.Self = identity.ID{} },
		"self as peer":      func(o *pipe.Options) { o.Peers = []identity.ID{o.Self} },
		"no outbox":         func(o *pipe.Options) { o.Outbox = "" },
		"share not mounted": func(o *pipe.Options) { o.Inbox = filepath.Join(o.Inbox, "not", "there") },
		"suffix of a path":  func(o *pipe.Options) { o.Suffix = "/../x" },
		"suffix .part":      func(o *pipe.Options) { o.Suffix = ".x.part" },
		"raw mode bits":     func(o *pipe.Options) { o.DirMode = 0o2770 },
		"negative settle":   func(o *pipe.Options) { o.Settle = -1 },
		"temp dir absent":   func(o *pipe.Options) { o.TempDir = filepath.Join(o.Outbox, "not", "there") },
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			change(&o)
			d, err := pipe.OpenDir(o)
			if err == nil {
				d.Close()
				t.Fatal("opened")
			}
			t.Log(err)
		})
	}
}

func TestFolderIsAFile(t *testing.T) {
	o := options(t)
	must(t, os.WriteFile(o.Outbox, nil, 0o600))
	_, err := pipe.OpenDir(o)
	var fe *pipe.FolderError
	if !errors.As(err, &fe) || fe.Folder != o.Outbox || fe.Mend == "" {
		t.Fatalf("error %#v", err)
	}
}

func TestOwnPartsAreCleared(t *testing.T) {
	o := options(t)
	o.TempDir = filepath.Join(filepath.Dir(o.Outbox), "tmp")
	openDir(t, o).Close()
	a, b := pipetest.A.String(), pipetest.B.String()
	peer := filepath.Join(o.Outbox, a)
	stale := []string{filepath.Join(peer, "."+a+"--"+b+"--0123456789abcdef.part"), filepath.Join(o.TempDir, "."+a+"--"+b+"--00.part")}
	mine := filepath.Dir(inboxFile(o, 1))
	stale = append(stale, filepath.Join(mine, "."+b+"--"+b+"--0123456789abcdef.part")) // of a Check that did not end
	kept := []string{
		filepath.Join(mine, "."+b+"--"+a+"--0123456789abcdef.part"),                   // the mover's, in the name of a peer
		filepath.Join(peer, "."+a+"--"+pipetest.C.String()+"--0123456789abcdef.part"), // another site's
		filepath.Join(peer, a+"--"+b+"--0123456789abcdef.part"),                       // no leading dot
		filepath.Join(peer, "."+a+"--"+b+"--0123456789abcdef.part.bak"),
		filepath.Join(peer, ".part"),
		outboxFile(o, 1), // published, not temporary
	}
	for _, path := range append(stale, kept...) {
		must(t, os.WriteFile(path, []byte("x"), 0o600))
	}
	folderLikePart := filepath.Join(peer, "."+a+"--"+b+"--ffff.part")
	must(t, os.Mkdir(folderLikePart, 0o700))
	openDir(t, o)
	for _, path := range stale {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there", path)
		}
	}
	for _, path := range append(kept, folderLikePart) {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestPutThroughTempDir(t *testing.T) {
	o := options(t)
	o.TempDir, o.Fsync = filepath.Join(filepath.Dir(o.Outbox), "tmp"), true
	d := openDir(t, o)
	must(t, d.Check())
	n := pipetest.Name(pipetest.B, pipetest.A, 1)
	must(t, d.Put(t.Context(), n, []byte("x")))
	if err := d.Put(t.Context(), n, []byte("y")); !errors.Is(err, pipe.ErrExists) {
		t.Fatalf("second put: %v", err)
	}
	if paths := (folder{t, o.TempDir}).Paths(); len(paths) != 0 {
		t.Fatalf("left in the temporary folder: %q", paths)
	}
	if data, err := os.ReadFile(outboxFile(o, 1)); err != nil || string(data) != "x" {
		t.Fatalf("%q, %v", data, err)
	}
}

// TestFoldersComeAndGo plays a mover that deletes subfolders, and folders that are made anew.
func TestFoldersComeAndGo(t *testing.T) {
	o := options(t)
	d := openDir(t, o)
	peer, own := filepath.Dir(outboxFile(o, 1)), filepath.Dir(inboxFile(o, 1))
	for seq := uint64(1); seq <= 3; seq++ {
		must(t, os.RemoveAll(peer))
		must(t, d.Put(t.Context(), pipetest.Name(pipetest.B, pipetest.A, seq), []byte("x")))
		if _, err := os.Stat(outboxFile(o, seq)); err != nil {
			t.Fatal(err)
		}
		must(t, os.RemoveAll(own))
		scan(t, d, pipetest.T0, 0)
		must(t, os.Mkdir(own, 0o700))
		must(t, os.WriteFile(inboxFile(o, seq), []byte("x"), 0o600))
		files := scan(t, d, pipetest.T0, 1)
		must(t, d.Remove(files[0]))
	}
	must(t, os.RemoveAll(peer))
	if was, err := d.RemoveOwn(pipetest.Name(pipetest.B, pipetest.A, 3)); was || err != nil {
		t.Fatalf("remove own: %v, %v", was, err)
	}
	if list, err := d.ListOwn(pipetest.A); len(list) != 0 || err != nil {
		t.Fatalf("list own: %v, %v", list, err)
	}
}

// TestShareGone plays a share that is unmounted: hoft must say so and not write under the mount point.
func TestShareGone(t *testing.T) {
	o := options(t)
	d := openDir(t, o)
	away := o.Outbox + ".away"
	must(t, os.Rename(o.Outbox, away))
	must(t, os.Rename(o.Inbox, o.Inbox+".away"))
	var fe *pipe.FolderError
	if err := d.Put(t.Context(), pipetest.Name(pipetest.B, pipetest.A, 1), []byte("x")); !errors.As(err, &fe) {
		t.Fatalf("put: %v", err)
	}
	if _, err := d.Scan(pipetest.T0); !errors.As(err, &fe) || !strings.Contains(err.Error(), "mount") {
		t.Fatalf("scan: %v", err)
	}
	if paths := (folder{t, away}).Paths(); len(paths) != 0 {
		t.Fatalf("wrote into the folder that was moved away: %q", paths)
	}
	if _, err := os.Stat(o.Outbox); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("made the outbox anew")
	}
	must(t, os.Rename(away, o.Outbox))
	must(t, os.Rename(o.Inbox+".away", o.Inbox))
	must(t, d.Put(t.Context(), pipetest.Name(pipetest.B, pipetest.A, 1), []byte("x")))
	scan(t, d, pipetest.T0, 0)
}

// TestQuarantineFails has no room to set a file aside: it stays where it is, and causes no more work.
func TestQuarantineFails(t *testing.T) {
	o := options(t)
	d := openDir(t, o)
	must(t, os.WriteFile(o.QuarantineDir, nil, 0o600)) // in the way of the folder
	must(t, os.WriteFile(inboxFile(o, 1), []byte("x"), 0o600))
	if err := d.Quarantine(scan(t, d, pipetest.T0, 1)[0], []byte("x"), "test"); err == nil {
		t.Fatal("set aside where nothing can be")
	}
	if _, err := os.Stat(inboxFile(o, 1)); err != nil {
		t.Fatal(err)
	}
	scan(t, d, pipetest.T0.Add(time.Hour), 0)
}

func TestParseMode(t *testing.T) {
	for s, want := range map[string]fs.FileMode{"0640": 0o640, "640": 0o640, "2770": fs.ModeSetgid | 0o770, "1777": fs.ModeSticky | 0o777, "000": 0} {
		if got, err := pipe.ParseMode(s); got != want || err != nil {
			t.Errorf("ParseMode(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "7", "0888", "10000", "-640", "u+rw", "0o640"} {
		if got, err := pipe.ParseMode(s); err == nil {
			t.Errorf("ParseMode(%q) = %v", s, got)
		}
	}
}

// TestWatch lets nothing but folder events bring hints: the poll comes once an hour.
func TestWatch(t *testing.T) {
	o := options(t)
	o.PollMin, o.PollMax = time.Hour, time.Hour
	d := openDir(t, o)
	sub := filepath.Dir(inboxFile(o, 1))
	must(t, os.Remove(sub)) // the mover makes it
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	<-d.Hints()
	from := openDir(t, pipe.Options{Self: pipetest.A, Peers: []identity.ID{pipetest.B}, Outbox: o.Inbox, Inbox: o.Outbox})
	for seq := uint64(1); seq <= 6; seq++ {
		must(t, from.Put(ctx, pipetest.Name(pipetest.A, pipetest.B, seq), []byte("x")))
		for found := false; !found; {
			select {
			case <-d.Hints():
			case <-ctx.Done():
				t.Fatalf("file %d: no hint within a minute", seq)
			}
			files, err := d.Scan(pipetest.T0)
			must(t, err)
			for _, f := range files {
				found = true
				must(t, d.Remove(f))
			}
		}
		if seq == 3 {
			must(t, os.Remove(sub)) // and takes it away again
		}
	}
	if st := d.Stats(); !st.Watching || !st.Notified {
		t.Errorf("stats %+v", st)
	}
	cancel()
	must(t, <-ended)
	if st := d.Stats(); st.Watching {
		t.Errorf("watching after the end: %+v", st)
	}
}

// TestConcurrent has four writers and a reader with several hands on one pair of folders.
func TestConcurrent(t *testing.T) {
	o := options(t)
	to := openDir(t, o)
	from := openDir(t, pipe.Options{Self: pipetest.A, Peers: []identity.ID{pipetest.B}, Outbox: o.Inbox, Inbox: o.Outbox})
	const writers, each = 4, 50
	var wg sync.WaitGroup
	for w := range uint64(writers) {
		wg.Go(func() {
			for i := range uint64(each) {
				if err := from.Put(t.Context(), pipetest.Name(pipetest.A, pipetest.B, w*each+i), []byte("x")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	deadline := time.Now().Add(time.Minute)
	seen := map[uint64]bool{}
	for len(seen) < writers*each && time.Now().Before(deadline) {
		files, err := to.Scan(pipetest.T0)
		must(t, err)
		for _, f := range files {
			if seen[f.Name.Seq] {
				t.Fatalf("%v reported twice", f.Name)
			}
			seen[f.Name.Seq] = true
			wg.Go(func() {
				if _, err := to.Read(f); err != nil {
					t.Error(err)
				}
				if err := to.Remove(f); err != nil {
					t.Error(err)
				}
				to.Stats()
			})
		}
	}
	wg.Wait()
	if paths := (folder{t, o.Inbox}).Paths(); len(paths) != 0 || len(seen) != writers*each {
		t.Fatalf("%d seen, left: %q", len(seen), paths)
	}
	if st := to.Stats(); st.Reappeared != 0 || st.Tracked != 0 || st.TotalBytes == 0 {
		t.Fatalf("stats %+v", st)
	}
}
