package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/admin"
	"github.com/hoft/hoft/pkg/admin/inspect"
	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
	"github.com/hoft/hoft/pkg/site"
	"github.com/hoft/hoft/pkg/store"
)

// inspectFlags are the flags of hoft inspect.
type inspectFlags struct {
	stateDir string
	headers  bool
	name     string
}

func newInspectCmd() *cobra.Command {
	flags := &inspectFlags{}
	cmd := &cobra.Command{
		Use:   "inspect FILE|EXCHANGE",
		Short: "Explain a file of the pipe, or what became of a call",
		Long: `Explain a frame file line by line: to whom it is sealed, whether its signature verifies, what it says
and which messages it carries; or, when something is wrong with it, what. Copies in the quarantine
folder of the state are read as well. Of an own file, which only its recipient can open, the state tells
what it carried. Of a pack, which holds nothing but encrypted chunks, only the shape can be told. With the id of an
exchange: how far the call got, its messages and their files, and how far long bodies are on their way.

Bodies are never shown, header fields only with --headers, and then without credentials. Nothing is
changed.

Exit codes: 0 whole and verified, or the exchange is shown; 1 refused, damaged, no hoft file, or no such
exchange; 2 usage; 3 partly good: cut, or damaged in some lines; 10 the state cannot be read; 12 nothing
could be verified: a key is missing or unreadable, or the file is this site's own.`,
		Example: "  hoft inspect ./b-to-a/*/*.jwe\n" +
			"  hoft inspect --headers --json FILE | jq '.lines[].claims.messages[]'\n" +
			"  hoft inspect 01a201e6-a330-7c55-9e1b-6a0d1c2b7e44",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if flags.name != "" && len(args) > 1 {
				return withExit(exitUsage, errors.New("--name is for one file"))
			}
			return runInspect(cmd, flags, args)
		},
	}
	cmd.Flags().StringVar(&flags.stateDir, "state-dir", "", stateDirUsage)
	cmd.Flags().BoolVar(&flags.headers, "headers", false, "show header fields and queries, credentials replaced")
	cmd.Flags().StringVar(&flags.name, "name", "", "the name that the file was written under, if it was renamed since")
	addOutputFlags(cmd, outputTable, outputJSON)
	return cmd
}

// inspector is what all arguments of one run are looked at with.
type inspector struct {
	cmd  *cobra.Command
	dir  string
	keys inspect.Keys
	opt  inspect.Options
	out  *screen
}

func runInspect(cmd *cobra.Command, flags *inspectFlags, args []string) error {
	dir, cfg, err := findState(cmd, flags.stateDir)
	if err != nil {
		return err
	}
	in := &inspector{cmd: cmd, dir: dir, keys: inspectKeys(dir, cfg), out: newScreen(cmd, cmd.OutOrStdout()),
		opt: inspect.Options{Now: time.Now(), Headers: flags.headers, As: flags.name}}
	if cfg != nil {
		in.opt.Suffix = cfg.Pipe.Suffix
	}
	worst := exitOK
	for i, arg := range args {
		if i > 0 && outputOf(cmd) != outputJSON {
			fmt.Fprintln(cmd.OutOrStdout())
		}
		code, err := in.one(arg)
		if err != nil {
			return err
		}
		worst = worse(worst, code)
	}
	if worst == exitOK {
		return nil
	}
	return &exitError{code: worst}
}

// worse gives the exit code that matters more for several files: refused, then no keys, then partly good.
func worse(a, b int) int {
	for _, code := range []int{exitFailed, exitKey, exitPartly} {
		if a == code || b == code {
			return code
		}
	}
	return exitOK
}

// inspectKeys loads all keys that can be had; without an identity, or when something is wrong with it, it says so.
func inspectKeys(dir string, cfg *config.Config) inspect.Keys {
	self, err := identity.Load(dir)
	if err != nil {
		return inspect.WithoutKeys(err.Error())
	}
	peers, err := everyPeer(dir, self, cfg)
	if err != nil {
		return inspect.WithoutKeys(err.Error())
	}
	configured := map[string]config.Peer{}
	if cfg != nil {
		for _, p := range cfg.Peers {
			configured[p.Name] = p
		}
	}
	keys, err := site.InspectKeys(self, peers, configured)
	if err != nil {
		return inspect.WithoutKeys(err.Error())
	}
	return keys
}

// everyPeer gives the peers of the configuration and, behind them, those trusted besides.
func everyPeer(dir string, self *identity.Site, cfg *config.Config) ([]*identity.Peer, error) {
	peers, err := knownPeers(dir, self, cfg)
	if err != nil || cfg == nil {
		return peers, err
	}
	all := &identity.Peers{}
	for _, p := range peers {
		if err := all.Add(p); err != nil {
			return nil, err
		}
	}
	stored, err := identity.LoadPeers(dir)
	if err != nil {
		return nil, err
	}
	for _, p := range stored.All() {
		_ = all.Add(p) // what is there already, or conflicts with the configuration, does not count
	}
	return all.All(), nil
}

// one explains one argument and gives the exit code for it.
func (in *inspector) one(arg string) (int, error) {
	if _, err := os.Lstat(arg); errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(arg, `/\`) {
		if id, err := uuid.Parse(arg); err == nil {
			return exitOK, in.exchange(id)
		}
		return exitFailed, fmt.Errorf("%s: there is no such file here, and it is no id of an exchange (hoft exchanges lists them)", arg)
	}
	f, err := inspect.Look(arg, in.keys, in.opt)
	if err != nil {
		return exitFailed, err
	}
	if err := in.addSent(f); err != nil {
		return exitFailed, err
	}
	if outputOf(in.cmd) == outputJSON {
		err = printJSON(in.cmd.OutOrStdout(), f)
	} else {
		err = in.out.file(f, in.opt.Now)
	}
	codes := map[string]int{inspect.Whole: exitOK, inspect.Partly: exitPartly, inspect.NoKeys: exitKey, inspect.Refused: exitFailed}
	return codes[f.Verdict], err
}

// addSent lets the state tell of an own file; where it cannot, the file itself is still explained.
func (in *inspector) addSent(f *inspect.File) error {
	if f.Name == nil || f.Name.Sender.ID != in.keys.Self.String() {
		return nil
	}
	db, err := store.OpenReadOnly(in.dir)
	if err != nil {
		fmt.Fprintf(in.cmd.ErrOrStderr(), "hoft: the state cannot tell what this file carried: %v\n", err)
		return nil
	}
	defer db.Close()
	return withExit(exitState, f.AddSent(in.context(), in.keys, db))
}

func (in *inspector) exchange(id uuid.UUID) error {
	db, err := store.OpenReadOnly(in.dir)
	if err != nil {
		return withExit(exitState, err)
	}
	defer db.Close()
	x, err := inspect.Call(in.context(), id, in.keys, db, in.opt)
	if err == nil && x.RunsHere() {
		x.Progress = in.progress(id)
	}
	switch {
	case errors.Is(err, inspect.ErrUnknown):
		return withExit(exitFailed, err)
	case err != nil:
		return withExit(exitState, err)
	case outputOf(in.cmd) == outputJSON:
		return printJSON(in.cmd.OutOrStdout(), x)
	}
	return in.out.exchange(x)
}

// progress asks the site how far the body of an exchange is; nil: it does not run, or none is under way.
func (in *inspector) progress(id uuid.UUID) *exchange.Transfer {
	var row admin.ExchangeRow
	if admin.Do(in.context(), in.dir, http.MethodGet, admin.PathExchanges+"/"+id.String(), &row) != nil {
		return nil // the state has told the rest
	}
	return row.Transfer
}

func (in *inspector) context() context.Context { return in.cmd.Context() }
