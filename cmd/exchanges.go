package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/admin"
	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/identity"
)

// exchangeFlags select exchanges.
type exchangeFlags struct {
	stateDir string
	peer     string
	route    string
	since    string
	limit    int
}

func (f *exchangeFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.stateDir, "state-dir", "", stateDirUsage)
	flags.StringVar(&f.peer, "peer", "", "only those to this peer")
	flags.StringVar(&f.route, "route", "", "only those of the route with this path")
	flags.StringVar(&f.since, "since", "", "only those begun since a `time`: how long ago (2h), or 2026-11-22T08:15:00Z")
	addChoice(cmd, false, "state", "only those in this state", "", exchange.StateRunning, exchange.StateSucceeded, exchange.StateFailed,
		exchange.StateCanceled, exchange.StateUncertain)
	must(cmd.RegisterFlagCompletionFunc("peer", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return peerNames(cmd, f.stateDir), cobra.ShellCompDirectiveNoFileComp
	}))
}

// filter gives what the flags select.
func (f *exchangeFlags) filter(cmd *cobra.Command) (out exchange.Filter, err error) {
	out = exchange.Filter{Peer: f.peer, State: cmd.Flags().Lookup("state").Value.String(), Route: f.route, Limit: f.limit}
	if f.since == "" {
		return out, nil
	}
	if d, err := time.ParseDuration(f.since); err == nil && d > 0 {
		out.Since = time.Now().Add(-d)
		return out, nil
	}
	if out.Since, err = time.Parse(time.RFC3339, f.since); err != nil {
		return out, withExit(exitUsage, errors.New("--since: write how long ago, as in 2h, or a time, as in 2026-11-22T08:15:00Z"))
	}
	return out, nil
}

func newExchangesCmd() *cobra.Command {
	flags := &exchangeFlags{}
	cmd := &cobra.Command{
		Use:   "exchanges",
		Short: "List the calls that callers of this site made",
		Long: `List the calls that callers of this site made, the newest first: how far each got, and what became of it.

The running site is asked at the control socket in its state folder. When none runs, the stored state is
read, without changing it, and the output says so. Queries, fields and bodies are never shown.

Exit codes: 0 shown; 2 usage; 10 no identity in the state folder, or its database cannot be read; 12 a key
file cannot be read; 13 no such peer.`,
		Example: "  hoft exchanges --state running\n" +
			"  hoft exchanges --peer site-b --since 2h --state failed\n" +
			"  hoft exchanges --json | jq -r '.exchanges[].id'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := flags.filter(cmd)
			if err != nil {
				return err
			}
			list, note, err := loadExchanges(cmd, flags.stateDir, f)
			if err != nil {
				return err
			}
			if outputOf(cmd) == outputJSON {
				return printJSON(cmd.OutOrStdout(), list)
			}
			if note != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), "hoft: "+note)
			}
			return newScreen(cmd, cmd.OutOrStdout()).exchanges(list)
		},
	}
	flags.add(cmd)
	cmd.Flags().IntVar(&flags.limit, "limit", 50, "how many at most, up to 1000")
	addOutputFlags(cmd, outputTable, outputJSON)
	return cmd
}

// loadExchanges asks the running site, or reads the state where none answers; note says so.
func loadExchanges(cmd *cobra.Command, stateDir string, f exchange.Filter) (list *admin.ExchangeList, note string, err error) {
	if f.Limit < 1 || f.Limit > 1000 {
		return nil, "", withExit(exitUsage, errors.New("--limit: write a number from 1 to 1000"))
	}
	dir, cfg, err := findState(cmd, stateDir)
	if err != nil {
		return nil, "", err
	}
	if err := checkPeer(dir, cfg, f.Peer); err != nil {
		return nil, "", err
	}
	list = &admin.ExchangeList{}
	err = admin.Do(cmd.Context(), dir, http.MethodGet, admin.PathExchanges+"?"+admin.Query(f).Encode(), list)
	switch {
	case err == nil:
		return list, "", nil
	case errors.Is(err, admin.ErrNotRunning):
		note = fmt.Sprintf("no site runs on %s; this is its stored state", dir)
	case cmd.Context().Err() != nil:
		return nil, "", cmd.Context().Err()
	default:
		note = fmt.Sprintf("%v; this is its stored state", err)
	}
	list, err = storedExchanges(cmd.Context(), dir, cfg, f)
	return list, note, err
}

func storedExchanges(ctx context.Context, dir string, cfg *config.Config, f exchange.Filter) (*admin.ExchangeList, error) {
	names, err := stateNames(dir, cfg)
	if err != nil {
		return nil, err
	}
	list, err := admin.StoredExchanges(ctx, dir, names, f)
	if errors.Is(err, fs.ErrNotExist) { // it never ran
		return &admin.ExchangeList{Schema: admin.ExchangesSchema, Exchanges: []admin.ExchangeRow{}}, nil
	}
	if err != nil {
		return nil, withExit(exitState, err)
	}
	return list, nil
}

// stateNames gives the peers that a state folder's site knows.
func stateNames(dir string, cfg *config.Config) ([]admin.Name, error) {
	self, err := identity.Load(dir)
	if err != nil {
		return nil, err
	}
	peers, err := knownPeers(dir, self, cfg)
	if err != nil {
		return nil, err
	}
	var names []admin.Name
	for _, p := range peers {
		names = append(names, admin.Name{ID: p.ID, Name: p.Name})
	}
	return names, nil
}

// checkPeer refuses a name that is no peer's: a list of nothing would look like an answer.
func checkPeer(dir string, cfg *config.Config, peer string) error {
	if peer == "" {
		return nil
	}
	names, err := stateNames(dir, cfg)
	if err != nil {
		return err
	}
	var known []string
	for _, n := range names {
		if n.Name == peer {
			return nil
		}
		known = append(known, n.Name)
	}
	if near := config.Closest(peer, known); near != "" {
		return fmt.Errorf("%w %q; did you mean %q?", identity.ErrUnknownPeer, peer, near)
	}
	return fmt.Errorf("%w %q", identity.ErrUnknownPeer, peer)
}

// exchanges prints a list.
func (s *screen) exchanges(list *admin.ExchangeList) error {
	columns := []column{{"EXCHANGE", 0}, {"BEGUN", 4}, {"METHOD", 0}, {"TARGET", 3}, {"PEER", 2}, {"BECAME", 0}}
	var rows [][]cell
	for _, x := range list.Exchanges {
		rows = append(rows, []cell{{text: x.ID}, {text: x.Created.UTC().Format(time.DateTime)}, {text: x.Method}, {text: printable(shorten(s.ascii(x.Target), 22))},
			{text: x.Peer}, {text: became(x), color: stateColor(x.State)}})
	}
	if err := s.table(columns, rows); err != nil {
		return err
	}
	if list.Next != "" {
		fmt.Fprintln(s.out, s.ascii("… there are more: --limit, --since"))
	}
	return nil
}

// became says in a few words how far a call got, or how it ended.
func became(x admin.ExchangeRow) string {
	switch x.State {
	case exchange.StateRunning:
		return x.Stage
	case exchange.StateSucceeded:
		return fmt.Sprint(x.Status)
	case exchange.StateCanceled, "":
		return x.State
	}
	return x.State + ": " + x.Problem
}

func stateColor(state string) string {
	switch state {
	case exchange.StateSucceeded:
		return green
	case exchange.StateRunning:
		return plain
	case exchange.StateCanceled:
		return yellow
	}
	return red
}

func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "~"
	}
	return s
}

func newCancelCmd() *cobra.Command {
	var stateDir string
	cmd := &cobra.Command{
		Use:   "cancel ID…",
		Short: "Give up calls of this site's callers",
		Long: `Give up calls that callers of this site made. What was not written into the pipe ends at once. Else the
other site is told, and the call is canceling until its word comes: one that has not begun never will, one
that runs is ended. Finished calls stay as they are.

Exit codes: 0 all canceled, or on their way to be; 1 none; 2 usage; 3 some: the others are unknown or have
ended; 10 no site runs on the state folder.`,
		Example: "  hoft cancel 01a201e6-a330-7c55-9e1b-6a0d1c2b7e44\n" +
			"  hoft exchanges --state running --json | jq -r '.exchanges[].id' | xargs hoft cancel",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return forEach(cmd, stateDir, args, func(ctx context.Context, dir, id string) (doneRow, error) {
				var done admin.Done
				err := admin.Do(ctx, dir, http.MethodDelete, admin.PathExchanges+"/"+id, &done)
				row := doneRow{ID: id, Outcome: done.State, OK: done.State == exchange.StateCanceled}
				if done.State == exchange.StateRunning {
					row.Outcome, row.OK = done.Stage, done.Stage == exchange.StageCanceling
				}
				if err == nil && !row.OK {
					row.Outcome = "not canceled: " + row.Outcome
				}
				return row, err
			})
		},
	}
	cmd.Flags().StringVar(&stateDir, "state-dir", "", stateDirUsage)
	addOutputFlags(cmd, outputTable, outputJSON)
	return cmd
}

// doneRow is what became of one wish.
type doneRow struct {
	ID      string `json:"id"`
	OK      bool   `json:"ok"`
	Outcome string `json:"outcome"`
	NewID   string `json:"new_id,omitempty"`
}

// forEach asks the running site for each id and prints what came of it; some of them is exit code 3.
func forEach(cmd *cobra.Command, stateDir string, ids []string, do func(ctx context.Context, dir, id string) (doneRow, error)) error {
	dir, _, err := findState(cmd, stateDir)
	if err != nil {
		return err
	}
	rows, err := askEach(cmd, dir, ids, do)
	if err != nil {
		return err
	}
	return printDone(cmd, rows)
}

func askEach(cmd *cobra.Command, dir string, ids []string, do func(ctx context.Context, dir, id string) (doneRow, error)) (rows []doneRow, err error) {
	for _, id := range ids {
		if _, err := uuid.Parse(id); err != nil {
			return nil, withExit(exitUsage, fmt.Errorf("%q is no id of an exchange", id))
		}
	}
	for _, id := range ids {
		row, err := do(cmd.Context(), dir, id)
		var refused *admin.Refused
		switch {
		case errors.As(err, &refused):
			row = doneRow{ID: id, Outcome: refused.Text}
		case errors.Is(err, admin.ErrNotRunning):
			return nil, withExit(exitState, fmt.Errorf("no site runs on %s: start it with hoft serve", dir))
		case err != nil:
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func printDone(cmd *cobra.Command, rows []doneRow) error {
	good := 0
	for _, r := range rows {
		if r.OK {
			good++
		}
	}
	out := cmd.OutOrStdout()
	if outputOf(cmd) == outputJSON {
		if err := printJSON(out, rows); err != nil {
			return err
		}
	} else {
		for _, r := range rows {
			text := r.Outcome
			if r.NewID != "" {
				text += " " + r.NewID
			}
			fmt.Fprintf(out, "%s  %s\n", r.ID, printable(text))
		}
	}
	switch {
	case good == len(rows):
		return nil
	case good == 0:
		return &exitError{code: exitFailed}
	}
	return &exitError{code: exitPartly}
}
