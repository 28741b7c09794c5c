package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hoft/hoft/pkg/frame"
	"github.com/hoft/hoft/pkg/store"
)

// child opens the store in dir and commits messages 1, 2, 3, …, three in each batch, from several
// callers at once; it prints the first number of each batch that is durable, until it is killed.
func child(dir string) int {
	s, err := store.Open(dir, store.Options{WALPages: 20}) // so that kills also meet checkpoints
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	fmt.Println("open")
	lines := make(chan string)
	for c := range uint64(4) {
		go func() {
			for i := c; ; i += 4 {
				first := 3*i + 1
				if err := s.Commit(context.Background(), three(first)); err != nil {
					lines <- "error: " + err.Error()
					return
				}
				lines <- strconv.FormatUint(first, 10)
			}
		}()
	}
	for l := range lines {
		fmt.Println(l)
	}
	return 0
}

func three(first uint64) *store.Batch {
	var b store.Batch
	for id := first; id < first+3; id++ {
		b.AddOutbox(store.Out{Peer: [16]byte{1}, ID: id, Kind: frame.KindReq, Exchange: [16]byte{2, byte(id)}, Keep: true,
			Data: make([]byte, 500)})
	}
	b.PutLink(store.Link{Peer: [16]byte{1}, LastID: first + 2})
	return &b
}

// startChild runs this binary as child on dir and waits until it has opened the store.
func startChild(t *testing.T, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // a guard only
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), "HOFT_TEST_STORE_CHILD="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone already
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "open" {
		t.Fatalf("child did not open the store: %q", lines.Text())
	}
	return cmd, lines
}

// TestKill kills a committing process at once without warning: what it reported is there, batches are
// whole, the database is sound.
func TestKill(t *testing.T) {
	for round := range 4 {
		dir := t.TempDir()
		cmd, lines := startChild(t, dir)
		reported := map[uint64]bool{}
		read := func() bool {
			if !lines.Scan() {
				return false
			}
			n, err := strconv.ParseUint(lines.Text(), 10, 64)
			if err != nil {
				t.Fatalf("child: %s", lines.Text())
			}
			reported[n] = true
			return true
		}
		for len(reported) < 60+37*round && read() {
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for read() { // what it still said before it died counts too
		}
		checkKilled(t, dir, reported)
	}
}

func checkKilled(t *testing.T, dir string, reported map[uint64]bool) {
	t.Helper()
	s := open(t, dir) // the lock went with the process
	defer s.Close()
	rows, err := s.Outbox(context.Background(), [16]byte{1}, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	have := map[uint64]bool{}
	for _, r := range rows {
		have[r.ID] = true
	}
	for first := range reported {
		if !have[first] {
			t.Errorf("batch %d was reported durable and is gone", first)
		}
	}
	for id := range have {
		first := (id-1)/3*3 + 1
		if !have[first] || !have[first+1] || !have[first+2] {
			t.Errorf("batch %d is there in part", first)
		}
	}
	bad, err := s.Int(`SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'`)
	if err != nil || bad != 0 {
		t.Errorf("integrity check: %d complaints, %v", bad, err)
	}
	t.Logf("%d batches reported, %d rows found", len(reported), len(rows))
}

// TestLocked opens a folder that another process has, and one that this process has.
func TestLocked(t *testing.T) {
	dir := t.TempDir()
	cmd, lines := startChild(t, dir)
	_, err := store.Open(dir, store.Options{})
	if !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d)", cmd.Process.Pid)) {
		t.Errorf("got %v, want ErrLocked naming process %d", err, cmd.Process.Pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // to the end: the process is gone
	}
	_ = cmd.Wait() // says that it was killed
	s := open(t, dir)
	_, err = store.Open(dir, store.Options{})
	if !errors.Is(err, store.ErrLocked) {
		t.Errorf("second open in one process: got %v, want ErrLocked", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
}
