package cmd

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hoft/hoft/pkg/pipe"
)

// TestMain lets the test binary be hoft itself for the scripts.
func TestMain(m *testing.M) {
	pipe.FreeSpace = func(*os.File) (free, total uint64, ok bool) { return 1 << 40, 1 << 40, true } // how full this machine's disk is is told in status
	testscript.Main(m, map[string]func(){
		"hoft": func() { os.Exit(Main(os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs testdata/script/*.txt; see go doc github.com/rogpeppe/go-internal/testscript.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"ends": ends},
	})
}

// ends runs a command and wants an exit code: ends 2 hoft config check.
func ends(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: ends CODE COMMAND ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d; standard error:\n%s", got, want, ts.ReadFile("stderr"))
	}
}

func TestEveryExitCodeIsExplained(t *testing.T) {
	var listed []int
	for _, e := range exitCodes {
		listed = append(listed, e.code)
	}
	want := []int{0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 28, 130}
	if !slices.Equal(listed, want) {
		t.Errorf("listed: %v, want %v", listed, want)
	}
	for _, s := range sentinels {
		if !slices.Contains(listed, s.code) {
			t.Errorf("%v ends with %d, which is not explained", s.err, s.code)
		}
	}
}
