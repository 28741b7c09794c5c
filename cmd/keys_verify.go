package cmd

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/identity"
)

func newKeysVerifyCmd(flags *keysFlags) *cobra.Command {
	var fingerprint string
	cmd := &cobra.Command{
		Use:   "verify PEER",
		Short: "Compare a peer's keys with the other side",
		Long: `Print the fingerprints of a peer and of this site, for comparison by phone: the other side must see the
same two. PEER is the name or id of a peer, trusted or of the configuration, or the path of a key file.

With --fingerprint the peer's fingerprint is compared here, and the exit code says whether it is equal.

Exit codes: 0 printed, or equal; 10 no identity in the state folder; 12 not equal, or a key file cannot
be read or is wrong; 13 no such peer.`,
		Example: `  hoft keys verify site-b
  hoft keys verify ./site-b.pub.jwks
  hoft keys verify site-b --fingerprint "mfrg gzdf mzxw 6ytb oi4t cmrr gu2d ombq"`,
		Args: keysArgs("PEER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runKeysVerify(cmd, flags, args[0], fingerprint)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return trustedNames(cmd, flags), cobra.ShellCompDirectiveDefault
		},
	}
	cmd.Flags().StringVar(&fingerprint, "fingerprint", "", "what the other side read to you")
	return cmd
}

func runKeysVerify(cmd *cobra.Command, flags *keysFlags, arg, fingerprint string) error {
	dir, site, cfg, err := flags.loadAll(cmd)
	if err != nil {
		return err
	}
	peer, err := findTrusted(dir, site, cfg, arg)
	if err != nil {
		return keysExit(err)
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s (peer)\t%s\n%s (this site)\t%s\n", peer.Name, peer.Fingerprint(), site.Name(), site.Fingerprint())
	if err := t.Flush(); err != nil {
		return err
	}
	if cmd.Flags().Changed("fingerprint") {
		if err := compareFingerprint(peer, fingerprint); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "The fingerprint of %s is the given one.\n", peer.Name)
		return err
	}
	_, err = fmt.Fprintf(cmd.ErrOrStderr(), "Call the other side: hoft keys verify %s must show the same two there.\n", site.Name())
	return err
}

// findTrusted finds a peer by name, by id or, when the argument looks like a path, in a file.
func findTrusted(dir string, self *identity.Site, cfg *config.Config, arg string) (*identity.Peer, error) {
	if strings.ContainsAny(arg, `/\`) || strings.HasSuffix(arg, ".jwks") {
		return identity.ReadPeer(arg)
	}
	peers, err := everyPeer(dir, self, cfg)
	if err != nil {
		return nil, err
	}
	for _, p := range peers {
		if p.Name == arg || p.ID.String() == arg {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%w %q: it is not among the peers of %s; run hoft keys trust FILE, or name its key file: hoft keys verify ./FILE",
		identity.ErrUnknownPeer, arg, dir)
}

// trustedNames offers the trusted peers to the shell's completion; where they cannot be read it offers none.
func trustedNames(cmd *cobra.Command, flags *keysFlags) []string {
	cmd.SetErr(io.Discard)
	dir, site, cfg, err := flags.loadAll(cmd)
	if err != nil {
		return nil
	}
	peers, err := everyPeer(dir, site, cfg)
	if err != nil {
		return nil
	}
	var names []string
	for _, p := range peers {
		names = append(names, p.Name)
	}
	return names
}
