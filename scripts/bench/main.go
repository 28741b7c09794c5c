// Command bench measures hoft against what stands beside it, in one run on one machine, as ratios.
//
//	go run ./scripts/bench calls    # small calls: two Go reverse proxies in a row = 1
//	go run ./scripts/bench bulk     # one large body: copying, two proxies, NNCP
//	go run ./scripts/bench data     # storing and reading by the Direct Data API: a plain Go file server = 1
//	go run ./scripts/bench inline   # bodies in their message, or as chunks, by size
//	go run ./scripts/bench faults   # a pipe that loses and cuts files: a clean one = 1
//	go run ./scripts/bench idle     # a peer that is away, with a full outbox: an idle site = 1
//
// It needs Linux, wrk for calls, and nncp for all of bulk (Debian: wrk, nncp). Absolute figures drift with the machine by a factor of two
// within the hour; believe the ratios of one run only, and no difference below 1.3.
package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		usage()
	}
	var err error
	switch what := os.Args[1]; what {
	case "calls":
		f := flag.NewFlagSet(what, flag.ExitOnError)
		d := f.Duration("d", 8*time.Second, "how long each measurement takes")
		_ = f.Parse(os.Args[2:])
		err = calls(*d)
	case "faults":
		f := flag.NewFlagSet(what, flag.ExitOnError)
		n := f.Int("n", 2000, "calls of each kind")
		delay := f.Duration("delay", 100*time.Millisecond, "what a file takes each way")
		seed := f.Uint64("seed", 1, "what faults come from")
		_ = f.Parse(os.Args[2:])
		err = faults(*n, *delay, *seed)
	case "idle":
		f := flag.NewFlagSet(what, flag.ExitOnError)
		d := f.Duration("d", time.Minute, "how long both are watched")
		warm := f.Duration("warm", 2*time.Minute, "how long before that they are left alone")
		backlog := f.Int("backlog", 64, "MiB that the outbox takes")
		_ = f.Parse(os.Args[2:])
		err = idle(*warm, *d, *backlog)
	case "inline":
		f := flag.NewFlagSet(what, flag.ExitOnError)
		n := f.Int("n", 300, "calls of each kind")
		crowds := numbers{1, 16}
		f.Var(&crowds, "callers", "how many callers at once, by comma")
		sizes := numbers{4, 8, 12, 16, 24, 32, 40, 64, 128, 256}
		f.Var(&sizes, "kib", "sizes of bodies in KiB, by comma")
		_ = f.Parse(os.Args[2:])
		err = inline(*n, crowds, sizes)
	case "bulk":
		f := flag.NewFlagSet(what, flag.ExitOnError)
		mib := f.Int("mib", 1024, "size of the body in MiB")
		alone := f.Bool("alone", false, "hoft alone, with the CPU seconds of both sites for each body")
		bodies := f.Int("bodies", 3, "how many bodies with -alone")
		private := f.Bool("private", false, "with -alone, pipe.private alone")
		apart := f.String("apart", "", "with -alone, a `folder` on another file system, for the pipe of a second pair of sites")
		_ = f.Parse(os.Args[2:])
		err = bulk(*mib, *alone, *private, *apart, *bodies)
	case "data":
		f := flag.NewFlagSet(what, flag.ExitOnError)
		mib := f.Int("mib", 1024, "size of the data in MiB")
		_ = f.Parse(os.Args[2:])
		err = data(*mib)
	case "files":
		err = serveFiles(os.Args[2], os.Args[3])
	case "callee": // the roles that this program plays for itself
		err = serveCallee(os.Args[2])
	case "proxy":
		err = serveProxy(os.Args[2], os.Args[3])
	default:
		usage()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// numbers is a flag with numbers above 0.
type numbers []int

func (n *numbers) String() string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint([]int(*n))), ","), "[]")
}

// Set implements flag.Value.
func (n *numbers) Set(text string) error {
	*n = nil
	for word := range strings.SplitSeq(text, ",") {
		i, err := strconv.Atoi(word)
		if err != nil || i < 1 {
			return fmt.Errorf("%q is no number above 0", word)
		}
		*n = append(*n, i)
	}
	return nil
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: go run ./scripts/bench calls|bulk|inline|data|faults|idle [-h]")
	os.Exit(2)
}
