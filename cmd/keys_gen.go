package cmd

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/identity"
)

func newKeysGenCmd(flags *keysFlags) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "gen --name NAME",
		Short: "Make this site's identity",
		Long: `Make this site's identity: an id, a key to sign with (Ed25519) and a key to receive with (P-256).

They are written to identity.jwks (mode 0600) in the state folder (0700). An identity that exists is
never overwritten: its id is what other sites trust.

Exit codes: 0 made; 1 there is an identity already; 2 usage; 10 the state folder cannot be used.`,
		Example: `  hoft keys gen --name site-a
  hoft keys gen --name site-a --state-dir ./a`,
		Args: keysArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return runKeysGen(cmd, flags, name) },
	}
	cmd.Flags().StringVar(&name, "name", "", "short name of this site, as its peers will call it")
	return cmd
}

func runKeysGen(cmd *cobra.Command, flags *keysFlags, name string) error {
	if name == "" {
		return withExit(exitUsage, errors.New("--name is missing: give this site a short name, as in --name site-a"))
	}
	if err := identity.CheckName(name); err != nil {
		return withExit(exitUsage, fmt.Errorf("--name %q: %w", name, err))
	}
	dir, err := flags.dir(cmd)
	if err != nil {
		return err
	}
	site, err := identity.Generate(name)
	if err != nil {
		return keysExit(err)
	}
	if err := site.Create(dir); errors.Is(err, identity.ErrExists) {
		return keysExit(err)
	} else if err != nil {
		return withExit(exitState, err)
	}
	path := strings.TrimRight(dir, string(os.PathSeparator)) + string(os.PathSeparator) + identity.FileName
	_, err = fmt.Fprintf(cmd.OutOrStdout(), `Wrote %s (0600): site %s "%s", signing Ed25519, encryption P-256. Keep it on this host.
Fingerprint, read it over the phone:  %s
Next: hoft keys export%s > %s.pub.jwks   and give that file to the other side.
`, path, site.ID(), site.Name(), site.Fingerprint(), keysStateFlag(cmd, dir), site.Name())
	return err
}
