// Command bench measures hoft against what stands beside it, in one run on one machine, as ratios.
//
//	go run ./scripts/bench calls   # small calls: two Go reverse proxies in a row = 1
//
// It needs Linux and wrk (Debian: wrk). Absolute figures drift with the machine by a factor of two
// within the hour; believe the ratios of one run only, and no difference below 1.3.
package main

import (
	"flag"
	"fmt"
	"os"
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

func usage() {
	fmt.Fprintln(os.Stderr, "usage: go run ./scripts/bench calls [-d 8s]")
	os.Exit(2)
}
