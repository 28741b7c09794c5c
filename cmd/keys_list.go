package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/identity"
)

// keysList is what hoft keys list --json prints. Members are only ever added.
type keysList struct {
	Schema   string      `json:"schema"` // hoft.keys/1
	StateDir string      `json:"state_dir"`
	Site     keysOwner   `json:"site"`
	Peers    []keysOwner `json:"peers"`
	Revoked  []string    `json:"revoked"` // every key id that never counts again
}

// keysOwner is a site with its keys.
type keysOwner struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Fingerprint string    `json:"fingerprint"`
	From        []string  `json:"from"`
	Keys        []keysKey `json:"keys"`
}

// keysKey is one key. State is current, retired (own keys), accepted (peers' older keys) or revoked.
type keysKey struct {
	Use     string     `json:"use"`
	KID     string     `json:"kid"`
	State   string     `json:"state"`
	Retired *time.Time `json:"retired_at,omitempty"`
}

func newKeysListCmd(flags *keysFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List this site's keys and those of its peers",
		Long: `List this site's keys and those of its peers, with fingerprints, key ids and the files they come from:
the peers of the configuration, where there is one, and those that hoft keys trust accepted.

Exit codes: 0 listed; 10 no identity in the state folder; 12 a key file cannot be read or is wrong.`,
		Example: `  hoft keys list
  hoft keys list --json | jq -r '.peers[].fingerprint'`,
		Args: keysArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := loadKeysList(cmd, flags)
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(list)
			}
			return list.table(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func loadKeysList(cmd *cobra.Command, flags *keysFlags) (*keysList, error) {
	dir, site, cfg, err := flags.loadAll(cmd)
	if err != nil {
		return nil, err
	}
	peers, err := everyPeer(dir, site, cfg)
	if err != nil {
		return nil, keysExit(err)
	}
	revoked, err := identity.LoadRevoked(dir)
	if err != nil {
		return nil, keysExit(err)
	}
	list := &keysList{Schema: "hoft.keys/1", StateDir: dir, Peers: []keysOwner{}, Revoked: revoked.IDs()}
	list.Site = keysOwner{ID: site.ID().String(), Name: site.Name(), Fingerprint: site.Fingerprint(),
		From: []string{identity.Path(dir)}, Keys: keysOf(site.Keys(), "retired")}
	for _, p := range peers {
		keys := keysOf(p.Keys(), "accepted")
		for _, k := range p.Revoked {
			keys = append(keys, keysKey{Use: string(k.Use), KID: k.KID, State: "revoked"})
		}
		list.Peers = append(list.Peers, keysOwner{ID: p.ID.String(), Name: p.Name, Fingerprint: p.Fingerprint(), From: p.From, Keys: keys})
	}
	return list, nil
}

// keysOf describes keys; the first of each use is the current one, the others have the state older.
func keysOf(infos []identity.KeyInfo, older string) []keysKey {
	var out []keysKey
	seen := map[identity.Use]bool{}
	for _, k := range infos {
		key := keysKey{Use: string(k.Use), KID: k.KID, State: "current"}
		if seen[k.Use] {
			key.State = older
		}
		if !k.Retired.IsZero() {
			key.Retired = &k.Retired
		}
		seen[k.Use] = true
		out = append(out, key)
	}
	return out
}

// table prints two tables: who, and which keys. Both fit 100 columns for names of usual length, but for file paths.
func (l *keysList) table(w io.Writer) error {
	owners := append([]keysOwner{l.Site}, l.Peers...)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SITE\tID\tFINGERPRINT")
	for i, o := range owners {
		fmt.Fprintf(t, "%s\t%s\t%s\n", keysLabel(o.Name, i == 0), o.ID, o.Fingerprint)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(t, "\nSITE\tUSE\tSTATE\tKID\tFROM")
	for i, o := range owners {
		for _, k := range o.Keys {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", keysLabel(o.Name, i == 0), k.Use, k.State, k.KID, strings.Join(o.From, ", "))
		}
	}
	return t.Flush()
}

func keysLabel(name string, own bool) string {
	if own {
		return name + " (own)"
	}
	return name
}
