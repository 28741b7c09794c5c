// Command powerloss makes what a power cut may leave of a state folder: of the database, its write-ahead log and the
// files of chunks.
//
// A site runs under strace, which writes down each write, truncation and sync of these files. From the files as
// they were before, and that record, powerloss knows at any moment which bytes have been synced: those a power cut must
// leave. All written later may be there, or not, or in part, in any order: of that powerloss makes a choice, from a seed.
//
// It first makes what is there when nothing is lost, and compares that with the real files byte for byte, so that a
// write which the record missed is an error and not a hole in the test.
package main

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Of the state folder: the database and its log, which are always there by name, and the folder of chunks.
var names = []string{"hoft.db", "hoft.db-wal"}

const (
	chunks   = "chunks"
	chunkExt = ".chunks"
)

// tracked gives the name of a file within the state folder, by its path; "" for one that is not followed.
func tracked(path string) string {
	dir, name := filepath.Split(path)
	switch {
	case name == names[0] || name == names[1]:
		return name
	case filepath.Base(dir) == chunks && strings.HasSuffix(name, chunkExt):
		return chunks + "/" + name
	}
	return ""
}

// folder reads the files of a state folder.
func folder(dir string) (map[string][]byte, error) {
	out := map[string][]byte{}
	list, err := filepath.Glob(filepath.Join(dir, chunks, "*"+chunkExt))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		list = append(list, filepath.Join(dir, name))
	}
	for _, path := range list {
		data, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			return nil, err
		}
		out[tracked(path)] = data
	}
	return out, nil
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "powerloss:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	f := flag.NewFlagSet("powerloss", flag.ContinueOnError)
	base := f.String("base", "", "`folder` of the files as they were, all of it synced, when the first record began")
	state := f.String("state", "", "state `folder` of the killed site")
	out := f.String("out", "", "`folder` for the image")
	seed := f.Uint64("seed", 1, "what the choices come from")
	lies := f.Int("lies", 0, "how many of the last syncs the disk only claimed to have done: an illegal cut, to see it noticed")
	early := f.Bool("early", false, "cut at a random earlier moment: an image to look at, not one to go on from")
	check := f.Bool("check", false, "make no image; fail if the process died in the middle of a write")
	if err := f.Parse(args); err != nil {
		return err
	}
	d := disk{}
	before, err := folder(*base)
	if err != nil {
		return err
	}
	for name, data := range before {
		d[name] = &file{synced: data, named: true}
	}
	var events []event
	for _, name := range f.Args() { // one record for each life of the process, in order
		first := len(events)
		more, err := readRecord(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, e := range more {
			e.began += first
			events = append(events, e)
		}
	}
	r := rand.New(rand.NewPCG(*seed, 0))
	if *early {
		if err := d.play(events[:r.IntN(len(events)+1)], *lies); err != nil {
			return err
		}
		return d.image(*out, r)
	}
	if err := d.play(events, *lies); err != nil {
		return err
	}
	after, err := folder(*state)
	if err != nil {
		return err
	}
	if err := d.same(after); err != nil {
		return err
	}
	if *check {
		return d.settled()
	}
	return d.image(*out, r)
}

// settled says whether the next life of the process may go on with the same record: what it died in may have been
// done or not, and the record does not tell.
func (d disk) settled() error {
	for name, f := range d {
		for _, c := range f.pending {
			if c.open {
				return fmt.Errorf("the process died in a write to %s", name)
			}
		}
	}
	return nil
}

// image writes a choice of what a power cut leaves, and says what it chose.
func (d disk) image(out string, r *rand.Rand) error {
	for _, name := range slices.Sorted(maps.Keys(d)) { // in order, so that the seed decides
		f := d[name]
		data, what := f.cut(r)
		fmt.Printf("%s: %d bytes, %d writes since the last sync: %s, %d bytes left\n", name, len(f.synced), len(f.pending), what, len(data))
		if f.absent(r) {
			fmt.Printf("%s: not there\n", name)
			continue
		}
		to := filepath.Join(out, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(to, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
