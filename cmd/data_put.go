package cmd

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/dataapi"
	"github.com/hoft/hoft/pkg/dataapi/client"
)

// putFlags are the flags of hoft data put.
type putFlags struct {
	dataFlags
	edit     string
	offset   int64
	truncate int64
	ttl      time.Duration
	out      string
}

func newDataPutCmd() *cobra.Command {
	f := &putFlags{}
	cmd := &cobra.Command{
		Use:   "put [FILE]",
		Short: "Store a file or standard input, and print its map",
		Long: `Store a file, or standard input, and print the identifier of its map. A file whose upload breaks off goes
on where it was.

With --map the data goes over that of a map, from --offset on, or behind it; with --truncate that is cut and
nothing is sent. What is printed is the complete new map; the old one stays valid.

Exit codes: 0 stored; 1 not stored; 2 usage or configuration; 12 the token cannot be read.`,
		Example: "  hoft data put report.pdf\n" +
			"  tar c folder | hoft data put --out folder.map --ttl 24h\n" +
			"  hoft data put more.log --map @log.map --out log.map",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.edit, "map", "", "change the data of this `MAP`")
	cmd.Flags().Int64Var(&f.offset, "offset", 0, "`byte` where the data is written (default: behind the end)")
	cmd.Flags().Int64Var(&f.truncate, "truncate", 0, "how many `bytes` stay")
	cmd.Flags().DurationVar(&f.ttl, "ttl", 0, "how long it is kept (default: data.ttl of the site; 0: until hoft data delete)")
	cmd.Flags().StringVarP(&f.out, "out", "o", "", "write the identifier into a `file` (0600) instead")
	cmd.MarkFlagsMutuallyExclusive("offset", "truncate")
	addOutputFlags(cmd, outputTable, outputJSON)
	return cmd
}

func (f *putFlags) run(cmd *cobra.Command, args []string) error {
	c, err := f.client(cmd)
	if err != nil {
		return err
	}
	query := url.Values{}
	for name, value := range map[string]string{"offset": strconv.FormatInt(f.offset, 10), "truncate": strconv.FormatInt(f.truncate, 10), "ttl": f.ttl.String()} {
		if cmd.Flags().Changed(name) {
			query.Set(name, value)
		}
	}
	if f.edit == "" && (query.Has("offset") || query.Has("truncate")) {
		return withExit(exitUsage, errors.New("--offset and --truncate need --map"))
	}
	s, err := f.store(cmd, c, args, query)
	if err != nil {
		return err
	}
	return f.print(cmd, s)
}

func (f *putFlags) store(cmd *cobra.Command, c *client.Client, args []string, query url.Values) (client.Stored, error) {
	if query.Has("truncate") {
		if len(args) > 0 {
			return client.Stored{}, withExit(exitUsage, errors.New("--truncate takes no file"))
		}
		id, _, err := dataMap(cmd, f.edit)
		if err != nil {
			return client.Stored{}, err
		}
		return c.Edit(cmd.Context(), id, query, nil)
	}
	in, size, err := dataFile(cmd, args)
	if err != nil {
		return client.Stored{}, err
	}
	defer in.Close()
	bar := dataBar(cmd, "storing", size)
	defer bar.Close()
	if f.edit == "" {
		return c.Put(cmd.Context(), showing(in, bar), size, query)
	}
	if f.edit == "-" && size < 0 && len(args) == 0 {
		return client.Stored{}, withExit(exitUsage, errors.New("map and data cannot both come from standard input"))
	}
	id, _, err := dataMap(cmd, f.edit)
	if err != nil {
		return client.Stored{}, err
	}
	return c.Edit(cmd.Context(), id, query, io.NopCloser(showing(in, bar)))
}

// putResult is the output of hoft data put as JSON.
type putResult struct {
	Schema string     `json:"schema"`
	Map    string     `json:"map,omitempty"` // not with --out
	Size   int64      `json:"size"`
	Until  *time.Time `json:"until,omitempty"`
}

func (f *putFlags) print(cmd *cobra.Command, s client.Stored) error {
	m, err := dataapi.ParseID(s.Map)
	if err != nil {
		return fmt.Errorf("the map in the answer: %w", err)
	}
	r := putResult{Schema: "hoft.data.put/1", Map: s.Map, Size: m.Size()}
	if !s.Until.IsZero() {
		r.Until = &s.Until
	}
	if f.out != "" {
		if err := writeMap(f.out, s.Map); err != nil {
			return fmt.Errorf("the data is stored; its map was not written: %w", err)
		}
		r.Map = ""
	}
	switch {
	case outputOf(cmd) == outputJSON:
		return printJSON(cmd.OutOrStdout(), r)
	case f.out != "":
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "Wrote the map of %d bytes to %s (0600): whoever has it has the data.\n", r.Size, f.out)
	default:
		_, err = fmt.Fprintln(cmd.OutOrStdout(), s.Map)
	}
	return err
}
