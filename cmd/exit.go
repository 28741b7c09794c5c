package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/site"
	"github.com/hoft/hoft/pkg/store"
)

// Exit codes. A code is never given a new meaning; one that is not listed is a failure.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitPartly      = 3
	exitState       = 10
	exitLocked      = 11
	exitKey         = 12
	exitPeer        = 13
	exitDegraded    = 20
	exitCritical    = 21
	exitGaveUp      = 28
	exitInterrupted = 130
)

var exitCodes = []struct {
	code    int
	meaning string
}{
	{exitOK, "done"},
	{exitFailed, "failed"},
	{exitUsage, "wrong usage or configuration"},
	{exitPartly, "partly done"},
	{exitState, "state missing or unusable, or from a newer version"},
	{exitLocked, "state folder in use by another process"},
	{exitKey, "key unreadable or wrong"},
	{exitPeer, "peer unknown"},
	{exitDegraded, "degraded (status --check)"},
	{exitCritical, "critical (status --check)"},
	{exitGaveUp, "gave up waiting"},
	{exitInterrupted, "interrupted"},
}

// sentinels is the one table from errors of the packages to exit codes, first match wins.
var sentinels = []struct {
	err  error
	code int
}{
	{store.ErrLocked, exitLocked},
	{store.ErrNewer, exitState},
	{store.ErrForeign, exitState},
	{store.ErrOlder, exitState},
	{store.ErrUnusable, exitState},
	{config.ErrNoFile, exitUsage},
	{site.ErrName, exitUsage},
	{identity.ErrUnknownPeer, exitPeer},
	{identity.ErrMissing, exitState},
}

// exitError carries the exit code that main ends with.
type exitError struct {
	code int
	err  error // nil: the command has said all there is to say
}

func (e *exitError) Error() string {
	if e.err == nil {
		return "exit code " + strconv.Itoa(e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// withExit gives err an exit code; nil stays nil.
func withExit(code int, err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: code, err: err}
}

// exitCode says with what the process ends after err.
func exitCode(ctx context.Context, err error) int {
	var own *exitError
	var problem *config.Problem
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &own):
		return own.code
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return s.code
		}
	}
	var key *identity.FileError
	switch {
	case errors.As(err, &problem):
		return exitUsage
	case errors.As(err, &key):
		return exitKey
	}
	return exitFailed
}

// report prints err as the command prints everything else, and gives the exit code.
func report(ctx context.Context, c *cobra.Command, err error) int {
	code := exitCode(ctx, err)
	if own, ok := errors.AsType[*exitError](err); err == nil || ok && own.err == nil {
		return code
	}
	stderr := c.ErrOrStderr()
	if code == exitInterrupted {
		err = errors.New("interrupted")
	}
	if f := outputOf(c); f == outputJSON || f == outputLines {
		// Nothing can be done about a standard error that takes no text.
		_ = json.NewEncoder(stderr).Encode(failure{Error: err.Error(), Code: code, Problems: failureProblems(err)})
		return code
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if line != "" {
			fmt.Fprintln(stderr, "hoft: "+harmless(line))
		}
	}
	return code
}

// failure is an error as JSON, the last line on standard error.
type failure struct {
	Error    string           `json:"error"`
	Code     int              `json:"code"`
	Problems []failureProblem `json:"problems,omitempty"`
}

// failureProblem is one thing wrong with a configuration, as JSON.
type failureProblem struct {
	Where  string `json:"where,omitempty"`
	Key    string `json:"key,omitempty"`
	Value  string `json:"value,omitempty"`
	Reason string `json:"reason"`
	Mend   string `json:"mend,omitempty"`
}

func failureProblems(err error) []failureProblem {
	var out []failureProblem
	for _, p := range config.Problems(err) {
		out = append(out, failureProblem{p.Where, p.Key, p.Value, p.Reason, p.Mend})
	}
	return out
}

func exitHelp() string {
	var b strings.Builder
	b.WriteString("Exit codes:\n")
	for _, e := range exitCodes {
		fmt.Fprintf(&b, "  %-5d%s\n", e.code, e.meaning)
	}
	return strings.TrimRight(b.String(), "\n")
}
