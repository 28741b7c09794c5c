package demo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rs/zerolog"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/pipe/mover"
)

// guarded ends with the test, or after five minutes: on a busy machine and under the race detector a run may take one.
func guarded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func options(calls int, faults string) Options {
	f, err := ParseFaults(faults)
	if err != nil {
		panic(err)
	}
	return Options{Calls: calls, Concurrency: 8, Faults: f, Seed: 3, Once: true, Listen: "127.0.0.1:0", LogLevel: zerolog.WarnLevel}
}

// TestRunThroughFaults is the whole of it: every kind of fault happens, every answer is right.
func TestRunThroughFaults(t *testing.T) {
	o := options(60, "drop=0.1,truncate=0.1,duplicate=0.1,reorder=0.1,partial=0.1,delay=10ms")
	o.Dir = filepath.Join(t.TempDir(), "new")
	show := &recorder{}
	got, err := Run(guarded(t), o, show)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Good() || got.Executions != o.Calls || got.Open != 0 {
		t.Errorf("%+v", got)
	}
	if f := got.Files; f.Lost == 0 || f.Cut == 0 || f.Moved == 0 || f.Written == 0 || got.Resends.Messages == 0 {
		t.Errorf("the mover was too kind: %+v, %+v", f, got.Resends)
	}
	if show.begun != 1 || show.totals != got {
		t.Errorf("begun %d times, totals %p and %p", show.begun, show.totals, got)
	}
	kinds := map[string]int{}
	for _, e := range show.events {
		switch {
		case e.File != nil:
			kinds[e.File.From+e.File.What]++
			if e.File.N == 0 || e.File.N > 10_000 {
				t.Errorf("file number %d", e.File.N)
			}
		case e.Link != nil:
			kinds["resent"]++
		case e.Call != nil && e.Call.Ended:
			kinds["answered"]++
		case e.Call != nil:
			kinds["called"]++
		}
	}
	if kinds["called"] != o.Calls || kinds["answered"] != o.Calls || kinds["resent"] == 0 || kinds[SiteA+mover.Moved] == 0 || kinds[SiteB+mover.Moved] == 0 {
		t.Errorf("told of %v", kinds)
	}
	samples, err := filepath.Glob(filepath.Join(o.Dir, "samples", "*.jwe"))
	if err != nil || len(samples) == 0 || len(samples) > 2 {
		t.Errorf("samples %v, %v", samples, err)
	}
	// A named folder stays, and nothing is written into one that is in use.
	if _, err := Run(guarded(t), o, &recorder{}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("the same folder again: %v", err)
	}
}

func TestRunCleansUpAndStops(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Setenv("TMP", tmp) // Windows
	left := func() []string {
		names, err := filepath.Glob(filepath.Join(tmp, "*"))
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	ctx, cancel := context.WithCancel(guarded(t))
	o := options(3, "none")
	o.Once = false
	show := &recorder{idle: cancel}
	if got, err := Run(ctx, o, show); err != nil || !got.Good() {
		t.Errorf("interrupted while it was just up: %+v, %v", got, err)
	}
	if n := left(); len(n) > 0 {
		t.Errorf("left behind: %v", n)
	}

	ctx, cancel = context.WithCancel(guarded(t))
	o = options(1000, "drop=0.9")
	first := &interrupting{cancel: cancel}
	got, err := Run(ctx, o, first)
	if !errors.Is(err, context.Canceled) || got == nil || got.Good() || got.Ended == got.Calls {
		t.Errorf("interrupted in the middle: %+v, %v", got, err)
	}
	if n := left(); len(n) > 0 {
		t.Errorf("left behind: %v", n)
	}

	o = options(1, "none")
	o.Keep = true
	if _, err := Run(guarded(t), o, &recorder{}); err != nil {
		t.Fatal(err)
	}
	if n := left(); len(n) != 1 {
		t.Errorf("kept: %v", n)
	}
}

// interrupting ends the run at the first call.
type interrupting struct {
	recorder
	cancel func()
}

func (i *interrupting) Event(e Event) {
	if e.Call != nil {
		i.cancel()
	}
}

func TestRunRefuses(t *testing.T) {
	o := options(1, "none")
	o.Listen = "nowhere"
	if _, err := Run(guarded(t), o, &recorder{}); err == nil || len(config.Problems(err)) != 1 {
		t.Errorf("listen on nowhere: %v", err)
	}
	o = options(1, "none")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o.Dir = file
	if _, err := Run(guarded(t), o, &recorder{}); err == nil {
		t.Error("a file was taken for a folder")
	}
}

// TestConfigFilesSayWhatRuns: the files are for other commands; the values are used without them, because a demo is
// not to follow the environment's HOFT_ variables.
func TestConfigFilesSayWhatRuns(t *testing.T) {
	a, b, err := setUp(t.TempDir(), "127.0.0.1:0", "http://127.0.0.1:9000", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []siteSetup{a, b} {
		loaded, err := config.Load(config.LoadOptions{File: s.file})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s.cfg, loaded, cmpopts.IgnoreUnexported(config.Config{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-used +file):\n%s", s.cfg.Name, diff)
		}
	}
}
