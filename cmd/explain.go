package cmd

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/exchange"
)

func newExplainCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain [CODE]",
		Short: "Explain the codes of errors that hoft answers callers with",
		Example: `  hoft explain
  hoft explain outcome-uncertain`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return codes(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			wanted := codes()
			if len(args) == 1 {
				if _, ok := exchange.Kinds[args[0]]; !ok {
					return withExit(exitUsage, unknownCode(args[0]))
				}
				wanted = args
			}
			list := make([]explanation, len(wanted))
			for i, code := range wanted {
				list[i] = explain(code)
			}
			switch {
			case outputOf(cmd) == outputJSON:
				return printJSON(cmd.OutOrStdout(), map[string]any{"schema": "hoft.explain/1", "codes": list})
			case len(args) == 1:
				return printExplanation(cmd.OutOrStdout(), list[0])
			}
			return printExplanations(cmd.OutOrStdout(), list)
		},
	}
	addOutputFlags(cmd, outputTable, outputJSON)
	return cmd
}

// explanation is what is known about one code.
type explanation struct {
	Code       string `json:"code"`
	Status     int    `json:"status"`
	Title      string `json:"title"`
	ProxyError string `json:"proxyError,omitempty"` // RFC 9209
	Mend       string `json:"mend,omitempty"`
}

func explain(code string) explanation {
	k := exchange.Kinds[code]
	return explanation{code, k.Status, k.Title, k.ProxyError, k.Mend}
}

// codes lists every code by status, then by name.
func codes() []string {
	return slices.SortedFunc(maps.Keys(exchange.Kinds), func(a, b string) int {
		return cmp.Or(cmp.Compare(exchange.Kinds[a].Status, exchange.Kinds[b].Status), cmp.Compare(a, b))
	})
}

func unknownCode(code string) error {
	if near := config.Closest(code, codes()); near != "" {
		return fmt.Errorf("unknown code %q; did you mean %q?", code, near)
	}
	return fmt.Errorf("unknown code %q; hoft explain lists them", code)
}

func printExplanations(out io.Writer, list []explanation) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STATUS\tCODE\tMEANING")
	for _, e := range list {
		fmt.Fprintf(w, "%d\t%s\t%s\n", e.Status, e.Code, e.Title)
	}
	return w.Flush()
}

func printExplanation(out io.Writer, e explanation) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "code\t%s\nstatus\t%d\nmeaning\t%s\n", e.Code, e.Status, e.Title)
	if e.ProxyError != "" {
		fmt.Fprintf(w, "Proxy-Status\t%s\n", e.ProxyError)
	}
	if e.Mend != "" {
		fmt.Fprintf(w, "what to do\t%s\n", e.Mend)
	}
	return w.Flush()
}
