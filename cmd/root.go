// Package cmd is the command line: one thin file per command, with its flags, printing and exit code.
//
// Data goes to standard output, everything else to standard error.
package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// commands lists every command, one line each.
func commands() []*cobra.Command {
	return []*cobra.Command{
		in(groupRun, newServeCmd()),
		in(groupRun, newDemoCmd()),
		in(groupInspect, newStatusCmd()),
		in(groupInspect, newExchangesCmd()),
		in(groupInspect, newInspectCmd()),
		in(groupInspect, newExplainCmd()),
		in(groupExchange, newCancelCmd()),
		in(groupExchange, newReplayCmd()),
		in(groupData, newDataCmd()),
		in(groupKeys, newKeysCmd()),
		in(groupAdmin, newConfigCmd()),
		in(groupAdmin, newVersionCmd()),
	}
}

// in puts a command into a group of the help.
func in(group string, c *cobra.Command) *cobra.Command {
	c.GroupID = group
	return c
}

// Groups of commands in the help, in this order.
const (
	groupRun      = "run"
	groupInspect  = "inspect"
	groupExchange = "exchange"
	groupData     = "data"
	groupKeys     = "keys"
	groupAdmin    = "admin"
)

var groups = []*cobra.Group{
	{ID: groupRun, Title: "Run:"},
	{ID: groupInspect, Title: "Inspect:"},
	{ID: groupExchange, Title: "Calls:"},
	{ID: groupData, Title: "Data:"},
	{ID: groupKeys, Title: "Keys:"},
	{ID: groupAdmin, Title: "Admin:"},
}

// Main runs hoft with the arguments behind the program's name and gives its exit code. The first
// interrupt or SIGTERM ends the context of the command; a second one ends the process at once.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return run(ctx, args, stdout, stderr)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCmd()
	started := false
	guard(root, &started)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	c, err := root.ExecuteContextC(ctx)
	if err != nil && !started && !errors.As(err, new(*exitError)) {
		err = withExit(exitUsage, usageError{err, c.CommandPath()})
	}
	return report(ctx, c, err)
}

// usageError is a command line that could not be understood.
type usageError struct {
	err  error
	path string // of the command that it was meant for
}

func (e usageError) Error() string {
	return fmt.Sprintf("%s\nsee: %s --help", strings.TrimSpace(e.err.Error()), e.path)
}

func (e usageError) Unwrap() error { return e.err }

func newRootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:   "hoft",
		Short: "Carry HTTP calls between two networks joined only by a folder",
		Long: "hoft carries HTTP calls between two networks that are joined only by a folder whose\n" +
			"files something else copies to the other side.\n\n" + exitHelp(),
		Version:       buildVersion(),
		SilenceUsage:  true, // an error is one line, not a screen of help
		SilenceErrors: true, // report prints them
	}
	root.SetVersionTemplate("hoft {{.Version}}\n")
	addGlobalFlags(root)
	added := commands()
	for _, g := range groups {
		// cobra prints the title of a group that has no commands too.
		if slices.ContainsFunc(added, func(c *cobra.Command) bool { return c.GroupID == g.ID }) {
			root.AddGroup(g)
		}
	}
	root.AddCommand(added...)
	root.SetHelpCommandGroupID(groupAdmin)
	root.SetCompletionCommandGroupID(groupAdmin)
	return root
}

// guard makes every command below c strict about its arguments, and notes in started that the command
// line was understood: whatever fails before that is the caller's mistake.
func guard(c *cobra.Command, started *bool) {
	for _, sub := range c.Commands() {
		guard(sub, started)
	}
	if c.HasSubCommands() {
		if !c.Runnable() {
			c.Args = noSuchCommand
			c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		}
	} else if c.Args == nil {
		c.Args = cobra.NoArgs
	}
	if do := c.RunE; do != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			*started = true
			return do(c, args)
		}
	}
}

// noSuchCommand refuses the name of a subcommand that is not there: cobra prints the help and calls it success.
func noSuchCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	msg := fmt.Sprintf("unknown command %q for %q", args[0], c.CommandPath())
	if c.SuggestionsMinimumDistance <= 0 {
		c.SuggestionsMinimumDistance = 2
	}
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		msg += fmt.Sprintf("; did you mean %s?", strings.Join(near, " or "))
	}
	return fmt.Errorf("%s", msg)
}
