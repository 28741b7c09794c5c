package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/identity"
)

// keysFlags are the flags that all keys commands share.
type keysFlags struct{ stateDir string }

// newKeysCmd makes "hoft keys" with its subcommands.
func newKeysCmd() *cobra.Command {
	flags := &keysFlags{}
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make, show and trust keys",
		Long: `Make this site's identity, give its public keys away, and say whose keys to trust.

Private keys never leave the state folder. Keys are exchanged by hand, once, and compared by phone
by their fingerprint; they never come by the pipe at first contact.`,
		Example: `  hoft keys gen --name site-a                 # once per site
  hoft keys export > site-a.pub.jwks          # give this file to the other side
  hoft keys trust site-b.pub.jwks             # take the other side's file
  hoft keys verify site-b                     # compare by phone`,
	}
	cmd.PersistentFlags().StringVar(&flags.stateDir, "state-dir", "", stateDirUsage)
	cmd.AddCommand(
		newKeysGenCmd(flags), newKeysExportCmd(flags), newKeysListCmd(flags),
		newKeysTrustCmd(flags), newKeysVerifyCmd(flags), newKeysPSKCmd(),
	)
	return cmd
}

// dir is the state folder that the flag, the configuration or the surroundings name.
func (f *keysFlags) dir(cmd *cobra.Command) (string, error) {
	if f.stateDir != "" {
		return f.stateDir, nil
	}
	dir, _, err := findState(cmd, "")
	return dir, err
}

// load gives the state folder and the identity in it.
func (f *keysFlags) load(cmd *cobra.Command) (string, *identity.Site, error) {
	dir, err := f.dir(cmd)
	if err != nil {
		return "", nil, err
	}
	site, err := identity.Load(dir)
	return dir, site, keysExit(err)
}

// loadAll is load with the configuration of that folder, nil where there is none.
func (f *keysFlags) loadAll(cmd *cobra.Command) (string, *identity.Site, *config.Config, error) {
	dir, cfg, err := findState(cmd, f.stateDir)
	if err != nil {
		return "", nil, nil, err
	}
	site, err := identity.Load(dir)
	return dir, site, cfg, keysExit(err)
}

// keysExit gives an error of the identity package its exit code.
func keysExit(err error) error {
	var file *identity.FileError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return withExit(exitInterrupted, err)
	case errors.Is(err, identity.ErrUnknownPeer):
		return withExit(exitPeer, err)
	case errors.Is(err, identity.ErrMissing):
		return withExit(exitState, err)
	case errors.Is(err, identity.ErrExists):
		return withExit(exitFailed, err)
	case errors.As(err, &file):
		return withExit(exitKey, err)
	}
	return withExit(exitFailed, err)
}

// keysArgs demands exactly the named arguments.
func keysArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return withExit(exitUsage, fmt.Errorf("%s is missing; usage: %s", names[len(args)], cmd.UseLine()))
		case len(args) > len(names):
			return withExit(exitUsage, fmt.Errorf("unexpected %q; usage: %s", args[len(names)], cmd.UseLine()))
		}
		return nil
	}
}

// keysStateFlag repeats --state-dir for a command line to copy, if it was given.
func keysStateFlag(cmd *cobra.Command, dir string) string {
	if !cmd.Flags().Changed("state-dir") {
		return ""
	}
	return " --state-dir " + keysShellWord(dir)
}

// keysShellWord quotes a word for a POSIX shell where it needs that.
func keysShellWord(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+,:@%", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
