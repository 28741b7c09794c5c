package cmd

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/dataapi/client"
)

func newDataStatCmd() *cobra.Command {
	f := &dataFlags{}
	cmd := &cobra.Command{
		Use:   "stat MAP",
		Short: "Say what a map is of, and whether its data can be read",
		Long: `Say how long the data of a map is, how the map is built, and whether this site can give the data.

Exit codes: 0 it can; 1 it cannot, or the site does not answer; 2 usage or configuration; 12 the token cannot be read.`,
		Example: "  hoft data stat @report.map\n  hoft data stat @report.map --json",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.stat(cmd, args[0]) },
	}
	f.add(cmd)
	addOutputFlags(cmd, outputTable, outputJSON)
	return cmd
}

// statResult is the output of hoft data stat as JSON.
type statResult struct {
	Schema   string `json:"schema"`
	Size     int64  `json:"size"`
	Embedded bool   `json:"embedded"`
	Entries  int    `json:"entries"`
	Level    int    `json:"level"`
	MapBytes int    `json:"map_bytes"`
	Readable bool   `json:"readable"`
}

func (f *dataFlags) stat(cmd *cobra.Command, arg string) error {
	c, err := f.client(cmd)
	if err != nil {
		return err
	}
	id, m, err := dataMap(cmd, arg)
	if err != nil {
		return err
	}
	r := statResult{Schema: "hoft.data.stat/1", Size: m.Size(), Embedded: len(m.Entries) == 0, Entries: len(m.Entries), Level: m.Level(), MapBytes: len(id)}
	_, err = c.Stat(cmd.Context(), id)
	var no *client.Refused
	if err != nil && (!errors.As(err, &no) || no.Status != 404) {
		return err
	}
	r.Readable = err == nil
	if err := printStat(cmd, r); err != nil || r.Readable {
		return err
	}
	return &exitError{code: exitFailed}
}

func printStat(cmd *cobra.Command, r statResult) error {
	if outputOf(cmd) == outputJSON {
		return printJSON(cmd.OutOrStdout(), r)
	}
	held := fmt.Sprintf("%d entries of level %d", r.Entries, r.Level)
	if r.Embedded {
		held = "the data itself"
	}
	readable := map[bool]string{true: "yes", false: "no: some of it is not here"}[r.Readable]
	return newScreen(cmd, cmd.OutOrStdout()).facts([][2]string{{"size", strconv.FormatInt(r.Size, 10) + " bytes"}, {"map", fmt.Sprintf("%s, %d bytes as identifier", held, r.MapBytes)},
		{"readable", readable}})
}

func newDataDeleteCmd() *cobra.Command {
	f := &dataFlags{}
	cmd := &cobra.Command{
		Use:   "delete MAP",
		Short: "Release the data of a map",
		Long: `Release what this token keeps of a map. Its chunks go when their room is needed, unless another token, another
map or an exchange still needs them.

Exit codes: 0 released; 1 nothing was kept, or the site does not answer; 2 usage or configuration; 12 the token
cannot be read.`,
		Example: "  hoft data delete @report.map",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.client(cmd)
			if err != nil {
				return err
			}
			id, _, err := dataMap(cmd, args[0])
			if err != nil {
				return err
			}
			return c.Delete(cmd.Context(), id)
		},
	}
	f.add(cmd)
	return cmd
}

// sendResult is the output of hoft data send as JSON.
type sendResult struct {
	Schema string `json:"schema"`
	To     string `json:"to"`
	client.Sent
}

func newDataSendCmd() *cobra.Command {
	f := &dataFlags{}
	var to string
	cmd := &cobra.Command{
		Use:   "send MAP --to SITE",
		Short: "Have a peer take the data of a map",
		Long: `Have a peer take the data of a map, and wait until it has it. Only the chunks that it lacks travel.

Exit codes: 0 it has it; 1 it has not; 2 usage or configuration; 12 the token cannot be read.`,
		Example: "  hoft data send @report.map --to site-b\n  hoft data send @report.map --to site-b --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if to == "" {
				return withExit(exitUsage, errors.New("--to is missing: name a peer"))
			}
			c, err := f.client(cmd)
			if err != nil {
				return err
			}
			id, _, err := dataMap(cmd, args[0])
			if err != nil {
				return err
			}
			sent, err := c.Send(cmd.Context(), id, to)
			if err != nil {
				return err
			}
			if outputOf(cmd) == outputJSON {
				return printJSON(cmd.OutOrStdout(), sendResult{Schema: "hoft.data.send/1", To: to, Sent: sent})
			}
			return newScreen(cmd, cmd.OutOrStdout()).facts([][2]string{{"to", to}, {"size", strconv.FormatInt(sent.Size, 10) + " bytes"},
				{"travelled", strconv.FormatInt(sent.Fetched, 10) + " bytes that it did not have"}, {"kept until", sent.Until.UTC().Format(time.DateTime) + " UTC at least"}})
		},
	}
	f.add(cmd)
	addOutputFlags(cmd, outputTable, outputJSON)
	cmd.Flags().StringVar(&to, "to", "", "`site` that is to have it")
	return cmd
}
