package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/admin"
	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/identity"
)

func newStatusCmd() *cobra.Command {
	var stateDir string
	var check, callbacks bool
	cmd := &cobra.Command{
		Use:   "status [PEER]",
		Short: "Show what waits, where, since when and what to do next",
		Long: `Show the state of this site: of each peer, of what waits for it and of what is wrong. With PEER, a name
or an id, everything that is known of one link.

The running site is asked at the control socket in its state folder. When none runs, the stored state is
read, without changing it, and the output says so.

States of a peer: ok; late (nothing came for longer than three heartbeats and three round trips); never
(nothing ever came); blocked (what comes is refused, or this site stopped writing); waiting (this site has
just started); stopped (this site does not run).

Exit codes: 0 shown; 2 usage; 10 no identity in the state folder, or its database cannot be read;
12 a key file cannot be read; 13 no such peer. With --check: 0 all well; 20 degraded; 21 critical, or the
site does not run.`,
		Example: "  hoft status\n" +
			"  hoft status site-b --state-dir ./a\n" +
			"  hoft status --check || systemctl status hoft\n" +
			"  hoft status --json | jq '.peers[] | {name, state}'",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if callbacks {
				return statusCallbacks(cmd, stateDir)
			}
			st, note, err := loadStatus(cmd, stateDir)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				if err := onlyPeer(st, args[0]); err != nil {
					return err
				}
			}
			out := cmd.OutOrStdout()
			switch {
			case check:
				return checkStatus(out, st)
			case outputOf(cmd) == outputJSON:
				return printJSON(out, st)
			}
			if note != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), "hoft: "+note)
			}
			s := newScreen(cmd, out)
			if len(args) == 1 {
				return s.peer(st, &st.Peers[0])
			}
			return s.status(st)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return peerNames(cmd, stateDir), cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().StringVar(&stateDir, "state-dir", "", stateDirUsage)
	cmd.Flags().BoolVar(&check, "check", false, "print one line and say by the exit code how well it is: 0, 20 degraded, 21 critical")
	cmd.Flags().BoolVar(&callbacks, "callbacks", false, "list the callbacks that were given up instead")
	cmd.MarkFlagsMutuallyExclusive("check", "callbacks")
	addOutputFlags(cmd, outputTable, outputJSON)
	return cmd
}

// statusCallbacks lists what was given up, from the running site or from its state.
func statusCallbacks(cmd *cobra.Command, stateDir string) error {
	dir, _, err := findState(cmd, stateDir)
	if err != nil {
		return err
	}
	list := &admin.CallbackList{}
	if err = admin.Do(cmd.Context(), dir, http.MethodGet, admin.PathCallbacks, list); errors.Is(err, admin.ErrNotRunning) {
		if list, err = admin.StoredCallbacks(cmd.Context(), dir); err != nil {
			err = withExit(exitState, err)
		}
	}
	if err != nil {
		return err
	}
	return printCallbacks(cmd, list)
}

// loadStatus asks the running site, or reads the state where none answers; note says so.
func loadStatus(cmd *cobra.Command, stateDir string) (st *admin.Status, note string, err error) {
	dir, cfg, err := findState(cmd, stateDir)
	if err != nil {
		return nil, "", err
	}
	st, err = admin.Ask(cmd.Context(), dir)
	switch {
	case err == nil:
		return st, "", nil
	case errors.Is(err, admin.ErrNotRunning):
		note = fmt.Sprintf("no site runs on %s; this is its stored state", dir)
	case cmd.Context().Err() != nil:
		return nil, "", cmd.Context().Err()
	default:
		note = fmt.Sprintf("%v; this is its stored state", err)
	}
	st, err = storedStatus(cmd.Context(), dir, cfg)
	return st, note, err
}

// storedStatus reads the state folder. What is missing or unusable there ends with exit code 10.
func storedStatus(ctx context.Context, dir string, cfg *config.Config) (*admin.Status, error) {
	self, err := identity.Load(dir)
	if err != nil {
		return nil, err
	}
	peers, err := knownPeers(dir, self, cfg)
	if err != nil {
		return nil, err
	}
	names := make([]admin.Name, len(peers))
	for i, p := range peers {
		names[i] = admin.Name{ID: p.ID, Name: p.Name}
	}
	st, err := admin.FromState(ctx, dir, self, names)
	if err != nil {
		return nil, withExit(exitState, err)
	}
	st.Version = buildVersion()
	return st, nil
}

// knownPeers gives the peers of the configuration, or those trusted where there is none. Configured
// peers whose keys nobody gave yet are left out.
func knownPeers(dir string, self *identity.Site, cfg *config.Config) ([]*identity.Peer, error) {
	if cfg == nil {
		stored, err := identity.LoadPeers(dir)
		if err != nil {
			return nil, err
		}
		return stored.All(), nil
	}
	entries := make([]identity.Entry, len(cfg.Peers))
	for i, p := range cfg.Peers {
		entries[i] = identity.Entry{Name: p.Name, Keys: p.Keys}
	}
	peers, err := identity.Resolve(dir, self, entries)
	if !errors.Is(err, identity.ErrUnknownPeer) {
		return peers, err
	}
	for _, e := range entries { // of one nothing is known yet; that must not hide the others
		one, err := identity.Resolve(dir, self, []identity.Entry{e})
		if err != nil && !errors.Is(err, identity.ErrUnknownPeer) {
			return nil, err
		}
		peers = append(peers, one...)
	}
	return peers, nil
}

// onlyPeer leaves one peer in the status, with its problems.
func onlyPeer(st *admin.Status, arg string) error {
	for _, p := range st.Peers {
		if p.Name != arg && p.ID != arg {
			continue
		}
		st.Peers = []admin.Peer{p}
		problems := []admin.Problem{}
		for _, x := range st.Problems {
			if x.Peer == "" || x.Peer == p.Name {
				problems = append(problems, x)
			}
		}
		st.Problems = problems
		st.Notices = slices.DeleteFunc(st.Notices, func(x admin.Problem) bool { return x.Peer != p.Name })
		return nil
	}
	var names []string
	for _, p := range st.Peers {
		names = append(names, p.Name)
	}
	mend := "the site has none"
	if near := config.Closest(arg, names); near != "" {
		mend = fmt.Sprintf("did you mean %q?", near)
	} else if len(names) > 0 {
		mend = "its peers are " + strings.Join(names, ", ")
	}
	return fmt.Errorf("%w %q of site %s; %s", identity.ErrUnknownPeer, arg, st.Site, mend)
}

// checkStatus prints one line; its error is the exit code.
func checkStatus(out io.Writer, st *admin.Status) error {
	var parts []string
	for _, p := range st.Problems {
		text := p.Code
		if p.Peer != "" {
			text += " " + p.Peer
		}
		parts = append(parts, text)
	}
	word, code := "ok", exitOK
	switch st.Level() {
	case admin.LevelWarn:
		word, code = "degraded", exitDegraded
	case admin.LevelCritical:
		word, code = "critical", exitCritical
	}
	line := fmt.Sprintf("%s: %s, %d peers", word, st.Site, len(st.Peers))
	if len(parts) > 0 {
		line += ": " + strings.Join(parts, ", ")
	}
	if _, err := fmt.Fprintln(out, line); err != nil || code == exitOK {
		return err
	}
	return &exitError{code: code}
}

// peerNames offers the peers to the shell's completion; where they cannot be read it offers none.
func peerNames(cmd *cobra.Command, stateDir string) []string {
	cmd.SetErr(io.Discard)
	st, _, err := loadStatus(cmd, stateDir)
	if err != nil {
		return nil
	}
	var names []string
	for _, p := range st.Peers {
		names = append(names, p.Name)
	}
	return names
}
