// Command powerloss makes what a power cut may leave of a database and its write-ahead log.
//
// A site runs under strace, which writes down each write, truncation and sync of the two files. From the files as
// they were before, and that record, powerloss knows at any moment which bytes have been synced: those a power cut must
// leave. All written later may be there, or not, or in part, in any order: of that powerloss makes a choice, from a seed.
//
// It first makes what is there when nothing is lost, and compares that with the real files byte for byte, so that a
// write which the record missed is an error and not a hole in the test.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// names of the files, and of their first states and images.
var names = []string{"hoft.db", "hoft.db-wal"}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "powerloss:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	f := flag.NewFlagSet("powerloss", flag.ContinueOnError)
	base := f.String("base", "", "`folder` of the two files as they were, all of it synced, when the first record began")
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
	for _, name := range names {
		first, err := os.ReadFile(filepath.Join(*base, name))
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		d[name] = &file{synced: first}
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
	for _, name := range names {
		real, err := os.ReadFile(filepath.Join(*state, name))
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		if err := d[name].same(real); err != nil {
			return fmt.Errorf("%s is not what the record makes of it: %w", name, err)
		}
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
	for _, name := range names {
		data, what := d[name].cut(r)
		fmt.Printf("%s: %d bytes, %d writes since the last sync: %s, %d bytes left\n", name, len(d[name].synced), len(d[name].pending), what, len(data))
		if err := os.WriteFile(filepath.Join(out, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
