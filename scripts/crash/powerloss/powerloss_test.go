package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// written makes a record of the lines and reads it.
func written(t *testing.T, lines ...string) ([]event, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "record")
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return readRecord(name)
}

const end = "7  +++ killed by SIGKILL +++"

func TestRecordIsRead(t *testing.T) {
	events, err := written(t,
		`7  pwrite64(9</s/hoft.db-wal>, "a\0\12\303\\\"\x0f", 7, 100) = 7`,
		`7  pwrite64(8</s/other>, "x", 1, 0) = 1`,
		`8  fsync(9</s/hoft.db-wal> <unfinished ...>`,
		`7  pwrite64(8</s/hoft.db>, "zz"`+unfinished,
		`8  <... fsync resumed>)            = 0`,
		`7  <... pwrite64 resumed>, 2, 4096) = 1`,
		`7  ftruncate(8</s/hoft.db>, 8192)  = 0`,
		`7  fallocate(8</s/hoft.db>, FALLOC_FL_KEEP_SIZE, 8192, 4096) = 0`,
		`7  pwrite64(8</s/hoft.db>, "zz", 2, 0) = -1 ENOSPC (No space left on device)`,
		`7  --- SIGURG {si_signo=SIGURG} ---`,
		`8  fsync(8</s/hoft.db>`+unfinished,
		`7  pwrite64(9</s/hoft.db-wal>, "q", 1, 5 <unfinished ...>) = ?`,
		end)
	if err != nil {
		t.Fatal(err)
	}
	want := []event{
		{what: write, file: "hoft.db-wal", at: 100, data: []byte("a\x00\n\xc3\\\"\x0f")},
		{what: sync, file: "hoft.db-wal", began: 1},
		{what: write, file: "hoft.db", at: 4096, data: []byte("z"), began: 1},
		{what: truncate, file: "hoft.db", at: 8192, began: 3},
		{what: write, file: "hoft.db-wal", at: 5, data: []byte("q"), began: 4, open: true},
	}
	if got, want := fmt.Sprintf("%+v", events), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestRecordsThatTellTooLittleAreRefused(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{`7  pwrite64(9</s/hoft.db-wal>, "abc"..., 70, 0) = 70`, "does not match"},
		{`7  pwrite64(9</s/hoft.db-wal>, "abc", 4, 0) = 4`, "3 of 4 bytes"},
		{`7  pwritev(9</s/hoft.db-wal>, [{iov_base="a", iov_len=1}], 1, 0) = 1`, "not thought of"},
		{`7  fallocate(8</s/hoft.db>, 0, 8192, 4096) = 0`, "keeps the length"},
		{`7  <... fsync resumed>) = 0`, "did not begin"},
		{`nothing of strace`, "not understood"},
	} {
		if _, err := written(t, c.line, end); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.line, err, c.want)
		}
	}
	if _, err := written(t, `7  fsync(9</s/hoft.db-wal>) = 0`); err == nil {
		t.Error("a record without an end was read")
	}
	events, err := written(t, `7  unlink("/s/hoft.db-wal") = 0`, end)
	if err != nil {
		t.Fatal(err)
	}
	if err := blank().play(events, 0); err == nil {
		t.Error("a removal was passed over")
	}
}

func blank() disk { return disk{"hoft.db": {}, "hoft.db-wal": {}} }

func wal(at int64, data string) event {
	return event{what: write, file: "hoft.db-wal", at: at, data: []byte(data)}
}

func walSync(began int) event { return event{what: sync, file: "hoft.db-wal", began: began} }

// TestSyncKeepsWhatWasWrittenBeforeIt: what was written while a sync was under way is not promised.
func TestSyncKeepsWhatWasWrittenBeforeIt(t *testing.T) {
	d := blank()
	if err := d.play([]event{wal(0, "aaaa"), wal(4, "bbbb"), walSync(1), wal(0, "cc")}, 0); err != nil {
		t.Fatal(err)
	}
	f := d["hoft.db-wal"]
	if string(f.synced) != "aaaa" || len(f.pending) != 2 {
		t.Errorf("synced %q, %d pending", f.synced, len(f.pending))
	}
	if err := f.same([]byte("ccaabbbb")); err != nil {
		t.Error(err)
	}
	if f.same([]byte("aaaabbbb")) == nil || f.same([]byte("ccaabbb")) == nil {
		t.Error("another file passes for the same")
	}
}

// TestLies: the syncs that the disk only claimed promise nothing.
func TestLies(t *testing.T) {
	events := []event{wal(0, "a"), walSync(1), wal(1, "b"), walSync(3), wal(2, "c"), walSync(5)}
	for lies, want := range []string{"abc", "ab", "a", "", ""} {
		d := blank()
		if err := d.play(events, lies); err != nil {
			t.Fatal(err)
		}
		if got := string(d["hoft.db-wal"].synced); got != want {
			t.Errorf("%d lies: %q, want %q", lies, got, want)
		}
	}
}

// TestImagesKeepWhatIsSynced makes many images: each sector is as it was synced, or as one of the later writes left
// it, or empty where the file grew; every way to cut is met.
func TestImagesKeepWhatIsSynced(t *testing.T) {
	fill := func(c byte, n int) []byte { return bytes.Repeat([]byte{c}, n) }
	d := blank()
	if err := d.play([]event{wal(0, string(fill('s', 4*sector))), walSync(1), wal(2*sector, string(fill('x', 3*sector))),
		wal(sector, string(fill('y', 2*sector))), {what: truncate, file: "hoft.db-wal", at: 6 * sector}}, 0); err != nil {
		t.Fatal(err)
	}
	met := map[string]bool{}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		data, what := d["hoft.db-wal"].cut(r)
		met[strings.Trim(what, "0123456789")] = true
		if len(data) < 4*sector || len(data) > 6*sector {
			t.Fatalf("%s: %d bytes", what, len(data))
		}
		if !bytes.Equal(data[:sector], fill('s', sector)) {
			t.Fatalf("%s: what was synced and not written again has changed", what)
		}
		for i, allowed := range []string{"s", "sy", "sxy", "sx", "\x00x", "\x00"} {
			for at := i * sector; at < min((i+1)*sector, len(data)); at++ {
				if !strings.ContainsRune(allowed, rune(data[at])) {
					t.Fatalf("%s: byte %d is %q", what, at, data[at])
				}
			}
		}
	}
	if len(met) < 6 {
		t.Errorf("only these were met: %v", met)
	}
}

// TestDiedInAWrite: it may have been done, in part or not at all, and the next life cannot go on with the record.
func TestDiedInAWrite(t *testing.T) {
	d := blank()
	open := wal(0, "bbbb")
	open.open = true
	if err := d.play([]event{wal(0, "aaaaaa"), walSync(1), open}, 0); err != nil {
		t.Fatal(err)
	}
	for _, real := range []string{"aaaaaa", "bbbbaa", "bbaaaa"} {
		if err := d["hoft.db-wal"].same([]byte(real)); err != nil {
			t.Errorf("%s: %v", real, err)
		}
	}
	if d["hoft.db-wal"].same([]byte("bbbbba")) == nil {
		t.Error("a write beyond its end passes")
	}
	if d.settled() == nil || blank().settled() != nil {
		t.Error("settled is wrong")
	}
}

// TestNamesOfChunkFiles: a new file may be gone until the folder is synced, a removed one may be back.
func TestNamesOfChunkFiles(t *testing.T) {
	const sub = "7  fsync(5</s/chunks>) = 0"
	put := func(name string) string { return `7  pwrite64(6</s/chunks/` + name + `.chunks>, "data", 4, 0) = 4` }
	synced := func(name string) string { return `7  fsync(6</s/chunks/` + name + `.chunks>) = 0` }
	gone := func(name string) string { return `7  unlinkat(AT_FDCWD</>, "/s/chunks/` + name + `.chunks", 0) = 0` }
	events, err := written(t, put("a"), synced("a"), sub, put("b"), synced("b"), put("c"), synced("c"), sub, gone("c"), put("d"), synced("d"), sub, gone("a"),
		`7  unlinkat(AT_FDCWD</>, "/s/chunks/b.chunks", 0) = -1 EPERM (Operation not permitted)`, put("e"), synced("e"), put("f"), end)
	if err != nil {
		t.Fatal(err)
	}
	d := blank()
	if err := d.play(events, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.same(map[string][]byte{"chunks/b.chunks": []byte("data"), "chunks/d.chunks": []byte("data"), "chunks/e.chunks": []byte("data"),
		"chunks/f.chunks": []byte("data"), "chunks/empty.chunks": nil}); err != nil {
		t.Error(err)
	}
	if d.same(map[string][]byte{"chunks/unknown.chunks": []byte("x")}) == nil {
		t.Error("files that the record does not have pass")
	}
	there, whole := map[string]int{}, map[string]int{}
	const images = 300
	for i := range images {
		out := t.TempDir()
		if err := d.image(out, rand.New(rand.NewPCG(uint64(i), 0))); err != nil {
			t.Fatal(err)
		}
		files, err := folder(out)
		if err != nil {
			t.Fatal(err)
		}
		for name, data := range files {
			there[name]++
			if string(data) == "data" {
				whole[name]++
			}
		}
	}
	for name, always := range map[string]bool{"a": false, "b": true, "d": true, "e": false, "f": false} {
		n := there["chunks/"+name+".chunks"]
		if n == 0 || always != (n == images) {
			t.Errorf("file %s is in %d of %d images", name, n, images)
		}
	}
	if there["chunks/c.chunks"] != 0 || whole["chunks/b.chunks"] != images || whole["chunks/e.chunks"] != there["chunks/e.chunks"] {
		t.Errorf("there %v, whole %v", there, whole)
	}
	if n := whole["chunks/f.chunks"]; n == 0 || n == there["chunks/f.chunks"] {
		t.Errorf("the file that was not synced is whole in %d images", n)
	}
}

// TestSyncOfAWriteThatAProcessDiedIn: the next process syncs what its predecessor died in, and nobody knows how much of it that
// is, until it is written again.
func TestSyncOfAWriteThatAProcessDiedIn(t *testing.T) {
	died := wal(0, "aaaa")
	died.open = true
	again := []event{died, walSync(1), wal(4, "bb"), walSync(3)}
	for _, c := range []struct {
		events []event
		real   string
		same   bool
	}{
		{again[:2], "aa", true}, {again[:2], "aaaaa", false}, {again, "aaaabb", true}, {again, "aaxxbb", true}, {again, "aaaaxb", false},
		{append(again[:4:4], wal(0, "cccc"), walSync(5)), "ccccbb", true},
		{append(again[:4:4], wal(0, "cccc"), walSync(5)), "aaccbb", false},
		{[]event{died, wal(0, "cccc"), walSync(2)}, "cccc", true},
		{[]event{died, wal(0, "cccc"), walSync(2)}, "aacc", false},
	} {
		d := blank()
		if err := d.play(c.events, 0); err != nil {
			t.Fatal(err)
		}
		if err := d["hoft.db-wal"].same([]byte(c.real)); (err == nil) != c.same {
			t.Errorf("%d events leave %q: %v", len(c.events), c.real, err)
		}
	}
}
