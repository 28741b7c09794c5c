// Command mover is the faulty mover of pkg/pipe/mover with flags, for end-to-end tests: it carries files in both
// directions of a pipe as badly as it is told to, until SIGTERM, and then prints what it did as JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/hoft/hoft/pkg/pipe/mover"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mover:", err)
		os.Exit(1)
	}
}

// totals is what a run prints.
type totals struct {
	mover.Counters
	Kept, NotKept int // copies for -keep
}

func run(args []string, out io.Writer) error {
	var c mover.Config
	var routes []string
	f := flag.NewFlagSet("mover", flag.ContinueOnError)
	f.Func("route", "`from:to`, two folders; may be repeated", func(s string) error {
		if !strings.Contains(s, ":") {
			return errors.New("write from:to")
		}
		routes = append(routes, s)
		return nil
	})
	f.StringVar((*string)(&c.Kind), "kind", "copy", "move, copy, mirror or resurrect")
	f.Float64Var(&c.Drop, "drop", 0, "share of files that are lost")
	f.Float64Var(&c.Truncate, "truncate", 0, "share of files that are cut")
	f.Float64Var(&c.Duplicate, "duplicate", 0, "share of files that come twice")
	f.Float64Var(&c.Reorder, "reorder", 0, "share of files that later ones overtake")
	f.Float64Var(&c.Partial, "partial", 0, "share of files that are shown half-written first")
	f.Float64Var(&c.BringBack, "bring-back", 0, "share of deletions that are undone (resurrect)")
	f.DurationVar(&c.DelayMin, "delay-min", 0, "shortest time until delivery")
	f.DurationVar(&c.DelayMax, "delay-max", 0, "longest time until delivery")
	f.DurationVar(&c.Period, "period", 0, "time between two looks; 0: at once")
	f.Int64Var(&c.MaxSize, "max-size", 0, "longer files are cut there, in bytes")
	f.Uint64Var(&c.Seed, "seed", 1, "what all choices come from")
	f.Func("file-mode", "mode of files delivered, octal (default 0664)", func(s string) error {
		mode, err := strconv.ParseUint(s, 8, 9)
		c.FileMode = fs.FileMode(mode)
		return err
	})
	keep := f.String("keep", "", "`folder` for copies of all files that passed")
	if err := f.Parse(args); err != nil {
		return err
	}
	if len(routes) == 0 {
		return errors.New("-route is required")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	sum, err := carry(ctx, c, routes, *keep)
	return errors.Join(err, json.NewEncoder(out).Encode(sum))
}

// carry runs one mover for each route until ctx ends.
func carry(ctx context.Context, c mover.Config, routes []string, keep string) (totals, error) {
	movers := make([]*mover.Mover, len(routes))
	keepers := make([]keeper, len(routes))
	for i, route := range routes {
		one := c
		one.From, one.To, _ = strings.Cut(route, ":")
		one.Seed += uint64(i)
		if keep != "" {
			keepers[i] = keeper{from: one.From, dir: filepath.Join(keep, fmt.Sprint(i))}
			if err := os.MkdirAll(keepers[i].dir, 0o755); err != nil {
				return totals{}, err
			}
			one.OnTake = keepers[i].take
		}
		m, err := mover.New(one)
		if err != nil {
			return totals{}, err
		}
		movers[i] = m
	}
	var wg sync.WaitGroup
	errs := make([]error, len(movers))
	for i, m := range movers {
		wg.Go(func() { errs[i] = m.Run(ctx) })
	}
	wg.Wait()
	var sum totals
	for i, m := range movers {
		add(&sum.Counters, m.Counters())
		sum.Kept += keepers[i].kept
		sum.NotKept += keepers[i].missed
	}
	return sum, errors.Join(errs...)
}

func add(s *mover.Counters, c mover.Counters) {
	s.Moved += c.Moved
	s.Lost += c.Lost
	s.Cut += c.Cut
	s.Repeated += c.Repeated
	s.Delayed += c.Delayed
	s.Half += c.Half
	s.Back += c.Back
	s.Deleted += c.Deleted
	s.Vanished += c.Vanished
	s.Failed += c.Failed
	s.Bytes += c.Bytes
}

// keeper keeps what passes: a second name of the whole file, which its owner's removal leaves alone. It is given before the file
// is delivered, for then both ends may remove it at once.
type keeper struct {
	from, dir    string
	n            int
	kept, missed int
}

func (k *keeper) take(path string) {
	k.n++
	name := filepath.Join(k.dir, fmt.Sprintf("%06d-%s", k.n, filepath.Base(path)))
	if os.Link(filepath.Join(k.from, filepath.FromSlash(path)), name) == nil {
		k.kept++
	} else {
		k.missed++ // its owner was faster: one that only acknowledges goes when a later one is written
	}
}
