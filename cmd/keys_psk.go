package cmd

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/identity"
)

func newKeysPSKCmd() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "psk --out FILE",
		Short: "Make a pre-shared secret",
		Long: `Make a pre-shared secret of 256 random bits, for two sites that are to use one in place of public keys.
It is written to a new file (mode 0600) and shown nowhere; --out - prints it to standard output.

Whoever has this secret can read and forge everything between the two sites, also what was recorded
before. Carry the file to the other side by a safe way and name it there and here as the peer's psk.

Exit codes: 0 made; 1 the file exists or cannot be written; 2 usage.`,
		Example: `  hoft keys psk --out ./site-b.secret
  hoft keys psk --out - | ssh other-host 'umask 077; cat > site-a.secret'`,
		Args: keysArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return runKeysPSK(cmd, out) },
	}
	cmd.Flags().StringVar(&out, "out", "", "new file to write; - prints the secret to standard output")
	return cmd
}

func runKeysPSK(cmd *cobra.Command, out string) error {
	if out == "" {
		return withExit(exitUsage, errors.New("--out is missing: name a new file, as in --out ./site-b.secret"))
	}
	psk, err := identity.NewPSK()
	if err != nil {
		return keysExit(err)
	}
	if out == "-" {
		_, err := cmd.OutOrStdout().Write(psk.Encode())
		return err
	}
	if err := psk.Create(out); err != nil {
		return withExit(exitFailed, err)
	}
	_, err = fmt.Fprintf(cmd.ErrOrStderr(), "Wrote %s (0600). Carry a copy to the other side by a safe way; each side names its file as psk: of the other.\n", out)
	return err
}
