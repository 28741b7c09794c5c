package cmd

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/hoft/hoft/pkg/config"
)

// Forms of output.
const (
	outputTable = "table"
	outputJSON  = "json"
	outputLines = "jsonl"
)

// choice is a flag that takes one of a few words.
type choice struct {
	value   string
	allowed []string
}

func (c *choice) String() string { return c.value }

// Type is the placeholder in the help.
func (c *choice) Type() string { return strings.Join(c.allowed, "|") }

// Set takes the word if it is allowed.
func (c *choice) Set(s string) error {
	if !slices.Contains(c.allowed, s) {
		return fmt.Errorf("write one of %s", strings.Join(c.allowed, ", "))
	}
	c.value = s
	return nil
}

func (c *choice) complete(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return c.allowed, cobra.ShellCompDirectiveNoFileComp
}

// addChoice adds a flag with fixed words and their completion.
func addChoice(cmd *cobra.Command, persistent bool, name, usage, value string, allowed ...string) {
	c := &choice{value: value, allowed: allowed}
	flags := cmd.Flags()
	if persistent {
		flags = cmd.PersistentFlags()
	}
	flags.Var(c, name, usage)
	must(cmd.RegisterFlagCompletionFunc(name, c.complete))
}

// must is for what fails only when this program is wrong.
func must(err error) {
	if err != nil {
		panic("cmd: " + err.Error())
	}
}

// addGlobalFlags adds the flags that every command knows.
func addGlobalFlags(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.String("config", "", "configuration `file` (default: $HOFT_CONFIG, then "+strings.Join(config.SearchPaths()[:1], ", ")+", then the user's and the system's)")
	flags.StringArray("set", nil, "set a `key=value` of the configuration; may be repeated")
	must(root.RegisterFlagCompletionFunc("set", completeKeys))
	addChoice(root, true, "log-level", "what is logged (default: log.level of the configuration)", "", "trace", "debug", "info", "warn", "error")
	addChoice(root, true, "log-format", "how it is logged (default: log.format of the configuration)", "", "auto", "json", "console")
	addChoice(root, true, "color", "when to use colour", "auto", "auto", "always", "never")
}

func completeKeys(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, k := range config.Keys() {
		if k.Variable != "" {
			out = append(out, k.Path+"=")
		}
	}
	return out, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

// addOutputFlags gives cmd --output with the forms that it has, the first being the default, and --json.
func addOutputFlags(cmd *cobra.Command, forms ...string) {
	addChoice(cmd, false, "output", "form of the output", forms[0], forms...)
	cmd.Flags().Bool("json", false, "short for --output json")
	cmd.MarkFlagsMutuallyExclusive("output", "json")
}

// outputOf gives the form of output asked for; a command without the flags has the form table.
func outputOf(cmd *cobra.Command) string {
	if f := cmd.Flags().Lookup("json"); f != nil && f.Value.String() == "true" {
		return outputJSON
	}
	if f := cmd.Flags().Lookup("output"); f != nil {
		return f.Value.String()
	}
	return outputTable
}

// colored says whether w takes colour: --color, then NO_COLOR (no-color.org), CLICOLOR_FORCE and TERM=dumb,
// then whether w is a terminal.
func colored(cmd *cobra.Command, w io.Writer) bool {
	if f := cmd.Flags().Lookup("color"); f != nil {
		switch f.Value.String() {
		case "always":
			return true
		case "never":
			return false
		}
	}
	if os.Getenv("NO_COLOR") != "" {
		return false
	}
	if force := os.Getenv("CLICOLOR_FORCE"); force != "" && force != "0" {
		return true
	}
	return os.Getenv("TERM") != "dumb" && isTerminal(w)
}

// isTerminal says whether w is a terminal; works for standard input too, where it is an *os.File.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
