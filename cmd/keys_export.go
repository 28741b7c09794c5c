package cmd

import "github.com/spf13/cobra"

func newKeysExportCmd(flags *keysFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "export",
		Short: "Print this site's public keys",
		Long: `Print this site's public key file (a JWK set without private keys) to standard output.

The file is no secret, but the other side must know that it is yours: let them compare its
fingerprint with what hoft keys list shows here.

Exit codes: 0 printed; 10 no identity in the state folder; 12 the identity cannot be read or is wrong.`,
		Example: `  hoft keys export > site-a.pub.jwks
  hoft keys export --state-dir ./a > a.pub.jwks`,
		Args: keysArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, site, err := flags.load(cmd)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(site.Public().Encode())
			return err
		},
	}
}
