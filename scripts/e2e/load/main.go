// Command load makes many calls at once, each with an id of its own, checks every answer against what the callee
// must have said, and writes what became of each call and of all together. After SIGTERM it begins no further calls
// and follows those under way to their ends.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run() error {
	var l load
	flag.StringVar(&l.url, "url", "", "where the calls go, without path")
	flag.IntVar(&l.calls, "n", 1000, "how many calls")
	flag.IntVar(&l.atOnce, "c", 64, "how many at once")
	flag.IntVar(&l.size, "size", 1024, "bytes of a request's body")
	flag.IntVar(&l.large, "large", 0, "bytes of the body of some calls")
	flag.IntVar(&l.every, "large-every", 16, "which: each call of this number, with -large")
	flag.StringVar(&l.prefix, "prefix", "call", "beginning of the ids")
	flag.StringVar(&l.canary, "canary", "", "text that body, path, query, fields, Authorization and Cookie get")
	methods := flag.String("methods", "POST", "methods, in turn, by comma")
	flag.DurationVar(&l.patience, "patience", 2*time.Minute, "how long one call may take, all told")
	flag.DurationVar(&l.pause, "pause", 0, "how long each caller rests between two calls")
	table := flag.String("table", "", "`file` for a line per call: id, method, outcome, exchange")
	within := flag.Duration("within", 4*time.Minute, "how long everything may take")
	flag.Parse()
	l.methods = strings.Split(*methods, ",")
	if l.url == "" || l.calls < 1 || l.atOnce < 1 || l.every < 1 || l.size < len(l.canary) {
		return errors.New("-url is required, -n, -c and -large-every are at least 1, -size is at least the canary's length")
	}
	ctx, cancel := context.WithTimeout(context.Background(), *within)
	defer cancel()
	enough, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	begun := time.Now()
	results := l.run(ctx, enough)
	if *table != "" {
		if err := writeTable(*table, results); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(summarize(results, time.Since(begun)))
}

func writeTable(name string, results []result) error {
	var b strings.Builder
	for _, r := range results {
		fmt.Fprintf(&b, "%s\t%s\t%s\t%s\n", r.id, r.method, r.outcome, r.exchange)
	}
	return os.WriteFile(name, []byte(b.String()), 0o644)
}
