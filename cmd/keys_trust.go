package cmd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/hoft/hoft/pkg/identity"
)

func newKeysTrustCmd(flags *keysFlags) *cobra.Command {
	var fingerprint string
	cmd := &cobra.Command{
		Use:   "trust FILE",
		Short: "Trust the other side's public keys",
		Long: `Take the public key file that the other side exported and keep it in the state folder, so that the
configuration can name that peer without keys:. Older keys kept for the same site are replaced.

The fingerprint is shown and must be confirmed: at a terminal by typing yes, else by --fingerprint with
what the other side read to you. A running hoft takes the new keys at its next start.

Exit codes: 0 trusted; 1 not confirmed; 2 no terminal and no --fingerprint; 10 no identity in the state
folder; 12 a key file cannot be read, is wrong, revoked or in conflict, or has another fingerprint.`,
		Example: `  hoft keys trust site-b.pub.jwks
  hoft keys trust site-b.pub.jwks --fingerprint "mfrg gzdf mzxw 6ytb oi4t cmrr gu2d ombq"`,
		Args: keysArgs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runKeysTrust(cmd, flags, args[0], fingerprint)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return []string{"jwks"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	cmd.Flags().StringVar(&fingerprint, "fingerprint", "", "the fingerprint that the other side read to you; nothing is asked then")
	return cmd
}

func runKeysTrust(cmd *cobra.Command, flags *keysFlags, file, fingerprint string) error {
	dir, site, err := flags.load(cmd)
	if err != nil {
		return err
	}
	peer, err := identity.ReadPeer(file)
	if err != nil {
		return keysExit(err)
	}
	if err := identity.CheckTrust(dir, site, peer); err != nil {
		return keysExit(err)
	}
	known, err := showCandidate(cmd.ErrOrStderr(), dir, peer)
	if err != nil {
		return keysExit(err)
	}
	if known && !cmd.Flags().Changed("fingerprint") {
		return nil
	}
	if err := confirmTrust(cmd, peer, fingerprint); err != nil {
		return err
	}
	if err := identity.Trust(dir, site, peer); err != nil {
		return keysExit(err)
	}
	_, err = fmt.Fprintf(cmd.ErrOrStderr(), "Trusted. The configuration may now say:  peers: [{name: %s}]\n", peer.Name)
	return err
}

// showCandidate says who is to be trusted, and what that would replace. known: the store holds exactly this already.
func showCandidate(w io.Writer, dir string, peer *identity.Peer) (known bool, err error) {
	fmt.Fprintf(w, "Site         %s\nId           %s\nFingerprint  %s\n", peer.Name, peer.ID, peer.Fingerprint())
	stored, err := identity.LoadPeers(dir)
	if err != nil {
		return false, err
	}
	have, ok := stored.ByID(peer.ID)
	switch {
	case !ok:
		return false, nil
	case bytes.Equal(have.Encode(), peer.Encode()):
		fmt.Fprintln(w, "These keys are trusted already.")
		return true, nil
	}
	fmt.Fprintf(w, "Replaces     %s (%s), trusted until now\n", have.Fingerprint(), have.Name)
	return false, nil
}

// confirmTrust compares the given fingerprint, or asks at a terminal; it never asks anywhere else.
func confirmTrust(cmd *cobra.Command, peer *identity.Peer, fingerprint string) error {
	if cmd.Flags().Changed("fingerprint") {
		return compareFingerprint(peer, fingerprint)
	}
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return withExit(exitUsage, errors.New("no terminal to ask at: have the other side read its fingerprint to you (hoft keys list shows it there) and give it with --fingerprint"))
	}
	fmt.Fprint(cmd.ErrOrStderr(), "Did the other side read this fingerprint to you? Type yes to trust it: ")
	answer, err := readAnswer(cmd.Context(), in)
	if err != nil {
		return keysExit(err)
	}
	if answer != "yes" && answer != "y" {
		return withExit(exitFailed, fmt.Errorf("%s is not trusted: the answer was not yes", peer.Name))
	}
	return nil
}

// compareFingerprint refuses what differs from the fingerprint that a person gave.
func compareFingerprint(peer *identity.Peer, given string) error {
	if identity.SameFingerprint(given, peer.Fingerprint()) {
		return nil
	}
	return withExit(exitKey, fmt.Errorf("the fingerprint of %s is %s, not %q: these are not the keys that the other side means; have it export them again and compare by phone", peer.Name, peer.Fingerprint(), given))
}

// readAnswer reads one line in lower case. A read at a terminal cannot be called off, so on the end of ctx its
// goroutine is left to the end of the process, which is near then.
func readAnswer(ctx context.Context, in io.Reader) (string, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	type result struct {
		line string
		err  error
	}
	got := make(chan result, 1)
	go func() {
		line, err := bufio.NewReader(in).ReadString('\n')
		got <- result{line, err}
	}()
	select {
	case r := <-got:
		if r.err != nil && !errors.Is(r.err, io.EOF) {
			return "", fmt.Errorf("read the answer: %w", r.err)
		}
		return strings.ToLower(strings.TrimSpace(r.line)), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
