package cmd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/admin"
	"github.com/hoft/hoft/pkg/exchange"
)

// replayFlags are the flags of hoft replay.
type replayFlags struct {
	exchangeFlags
	callbacks bool
	dryRun    bool
	yes       bool
	force     bool
}

func newReplayCmd() *cobra.Command {
	flags := &replayFlags{}
	cmd := &cobra.Command{
		Use:   "replay [ID…]",
		Short: "Make finished calls again, or send callbacks again",
		Long: `Make calls of this site's callers again: those named, or those that --peer, --since, --state and --route
select. Each becomes a new exchange that names the old one. What is not safe, idempotent or keyed, and may
have reached the server, is refused without --force. Only calls whose request is still stored can be made
again (results.ttl).

With --callbacks no call is made: callbacks that were given up are sent again, those of the exchanges named,
or all. A receiver that was disabled by its 410 is enabled again.

What would be done is shown and asked for, unless --yes says so; --dry-run only shows it.

Exit codes: 0 all done, or shown by --dry-run; 1 none, or not confirmed; 2 usage, or no terminal and no
--yes; 3 partly done; 10 no site runs on the state folder; 13 no such peer.`,
		Example: "  hoft replay 01a201e6-a330-7c55-9e1b-6a0d1c2b7e44\n" +
			"  hoft replay --peer site-c --since 2h --state failed --dry-run\n" +
			"  hoft replay --callbacks --yes",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if flags.callbacks {
				return replayCallbacks(cmd, flags, args)
			}
			return replayCalls(cmd, flags, args)
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&flags.callbacks, "callbacks", false, "send callbacks that were given up again, instead of making calls")
	cmd.Flags().BoolVar(&flags.dryRun, "dry-run", false, "only show what would be done")
	cmd.Flags().BoolVar(&flags.yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&flags.force, "force", false, "also what the server may have done already")
	addOutputFlags(cmd, outputTable, outputJSON)
	return cmd
}

// maxReplay is how many calls one command makes again.
const maxReplay = 1000

func replayCalls(cmd *cobra.Command, flags *replayFlags, ids []string) error {
	rows, dir, err := flags.selected(cmd, ids)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return errors.New("no exchange is selected")
	}
	if flags.dryRun {
		return planReplay(cmd, flags, rows)
	}
	if !flags.yes {
		if outputOf(cmd) != outputJSON {
			if err := planReplay(cmd, flags, rows); err != nil {
				return err
			}
		}
		if err := confirm(cmd, "replay them"); err != nil {
			return err
		}
	}
	var all []string
	for _, r := range rows {
		all = append(all, r.ID)
	}
	done, err := askEach(cmd, dir, all, func(ctx context.Context, dir, id string) (doneRow, error) {
		var done admin.Done
		path := admin.PathExchanges + "/" + id + "/replay"
		if flags.force {
			path += "?force=true"
		}
		err := admin.Do(ctx, dir, http.MethodPost, path, &done)
		return doneRow{ID: id, OK: err == nil, Outcome: "replayed as", NewID: done.NewID}, err
	})
	if err != nil {
		return err
	}
	return printDone(cmd, done)
}

// selected gives the exchanges that are named, or that the flags select; finished ones only.
func (f *replayFlags) selected(cmd *cobra.Command, ids []string) (rows []admin.ExchangeRow, dir string, err error) {
	picked := f.peer != "" || f.since != "" || f.route != "" || cmd.Flags().Changed("state")
	if picked == (len(ids) > 0) {
		return nil, "", withExit(exitUsage, errors.New("name exchanges by their ids, or select them by --peer, --since, --state and --route"))
	}
	if dir, _, err = findState(cmd, f.stateDir); err != nil {
		return nil, "", err
	}
	if picked {
		q, err := f.filter(cmd)
		if err != nil {
			return nil, "", err
		}
		q.Limit = maxReplay
		list, _, err := loadExchanges(cmd, f.stateDir, q)
		if err != nil {
			return nil, "", err
		}
		for _, r := range list.Exchanges {
			if r.State != exchange.StateRunning {
				rows = append(rows, r)
			}
		}
		return rows, dir, nil
	}
	_, err = askEach(cmd, dir, ids, func(ctx context.Context, dir, id string) (doneRow, error) {
		var r admin.ExchangeRow
		err := admin.Do(ctx, dir, http.MethodGet, admin.PathExchanges+"/"+id, &r)
		var refused *admin.Refused
		if errors.As(err, &refused) {
			r = admin.ExchangeRow{ID: id, Repeat: admin.Repeat{Why: refused.Text}}
		}
		rows = append(rows, r)
		return doneRow{}, err
	})
	return rows, dir, err
}

// planned is one line of what would be done.
type planned struct {
	admin.ExchangeRow
	Would bool `json:"would_replay"`
}

func planReplay(cmd *cobra.Command, flags *replayFlags, rows []admin.ExchangeRow) error {
	out := cmd.OutOrStdout()
	var plan []planned
	n, bytes := 0, int64(0)
	for _, r := range rows {
		p := planned{r, r.Repeat.Safe || flags.force && !r.Expired && r.Method != ""}
		if p.Would {
			n++
			bytes += r.ReqBytes
		}
		plan = append(plan, p)
	}
	if outputOf(cmd) == outputJSON {
		return printJSON(out, plan)
	}
	s := newScreen(cmd, out)
	fmt.Fprintf(out, "would replay %d of %d exchanges, %s\n", n, len(rows), admin.Bytes(bytes))
	for _, p := range plan {
		mark, color := "  ", plain
		if !p.Would {
			mark, color = "! ", red
		}
		fmt.Fprintf(out, "  %s  %s %s  %s  %s  %s%s\n", p.ID, p.Method, printable(shorten(p.Target, 40)), p.State, p.Problem, s.paint(color, mark), p.Repeat.Why)
	}
	return nil
}

// confirm asks at a terminal.
func confirm(cmd *cobra.Command, what string) error {
	if !isTerminal(cmd.InOrStdin()) {
		return withExit(exitUsage, errors.New("there is no terminal to ask at: add --yes, or --dry-run to look first"))
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Type yes to %s: ", what)
	answer, err := readAnswer(cmd.Context(), cmd.InOrStdin())
	if err != nil {
		return err
	}
	if answer != "yes" && answer != "y" {
		return errors.New("not confirmed; nothing was done")
	}
	return nil
}

func replayCallbacks(cmd *cobra.Command, flags *replayFlags, ids []string) error {
	dir, _, err := findState(cmd, flags.stateDir)
	if err != nil {
		return err
	}
	list := &admin.CallbackList{}
	if err := admin.Do(cmd.Context(), dir, http.MethodGet, admin.PathCallbacks, list); err != nil {
		if errors.Is(err, admin.ErrNotRunning) {
			err = withExit(exitState, fmt.Errorf("no site runs on %s: start it with hoft serve", dir))
		}
		return err
	}
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	rows := []admin.CallbackRow{}
	for _, c := range list.Callbacks {
		if len(ids) == 0 || wanted[c.Exchange] || wanted[c.ID] {
			rows = append(rows, c)
		}
	}
	if len(rows) == 0 {
		return errors.New("no callback that was given up is selected")
	}
	if flags.dryRun || !flags.yes {
		if err := printCallbacks(cmd, &admin.CallbackList{Schema: list.Schema, Callbacks: rows}); err != nil || flags.dryRun {
			return err
		}
		if err := confirm(cmd, "send them again"); err != nil {
			return err
		}
	}
	var done []doneRow
	for _, c := range rows {
		var out admin.Done
		err := admin.Do(cmd.Context(), dir, http.MethodPost, admin.PathCallbacks+"/"+url.PathEscape(c.ID)+"/replay", &out)
		row := doneRow{ID: c.ID, OK: err == nil, Outcome: "due again"}
		var refused *admin.Refused
		if errors.As(err, &refused) {
			row.Outcome = refused.Text
		} else if err != nil {
			return err
		}
		done = append(done, row)
	}
	return printDone(cmd, done)
}

// printCallbacks prints callbacks that were given up.
func printCallbacks(cmd *cobra.Command, list *admin.CallbackList) error {
	out := cmd.OutOrStdout()
	if outputOf(cmd) == outputJSON {
		return printJSON(out, list)
	}
	if len(list.Callbacks) == 0 {
		_, err := fmt.Fprintln(out, "no callback was given up")
		return err
	}
	columns := []column{{"WEBHOOK-ID", 0}, {"URL", 0}, {"TRIES", 2}, {"STATUS", 3}, {"WHY", 1}}
	var rows [][]cell
	for _, c := range list.Callbacks {
		status := "-"
		if c.Status != 0 {
			status = fmt.Sprint(c.Status)
		}
		rows = append(rows, []cell{{text: c.ID}, {text: printable(c.URL)}, {text: fmt.Sprint(c.Tries)}, {text: status}, {text: printable(shorten(c.Error, 50)), color: red}})
	}
	return newScreen(cmd, out).table(columns, rows)
}
