package cmd

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersionCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version, and what it was built from",
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := build()
			if outputOf(cmd) == outputJSON {
				return printJSON(cmd.OutOrStdout(), b)
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "hoft %s (%s, %s)\n", b.Version, b.Go, b.Platform)
			if b.Revision != "" {
				fmt.Fprintf(out, "commit %s of %s\n", b.Revision, b.Time)
			}
			if b.Modified {
				fmt.Fprintln(out, "with changes that are not committed")
			}
			return nil
		},
	}
	addOutputFlags(cmd, outputTable, outputJSON)
	return cmd
}

// buildInfo is what the Go tool wrote into the binary.
type buildInfo struct {
	Schema   string `json:"schema"`
	Version  string `json:"version"` // a tag, a pseudo-version, or (devel)
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"` // of the commit, RFC 3339
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func build() buildInfo {
	b := buildInfo{Schema: "hoft.version/1", Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func buildVersion() string { return build().Version }
