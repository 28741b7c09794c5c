package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/config"
)

func newConfigCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check, show or start a configuration",
	}
	cmd.AddCommand(newConfigCheckCmd(), newConfigShowCmd(), newConfigInitCmd())
	return cmd
}

func newConfigCheckCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say everything that is wrong with the configuration (exit code 2), or ok",
		Example: `  hoft config check
  hoft config check --config a.yaml
  hoft config check --config a.yaml --json 2>&1 | jq -r '.problems[]?.key'`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			ingress, egress, err := cfg.Roles("")
			if err != nil {
				return withExit(exitUsage, fmt.Errorf("%s: %w", cfg.File(), err))
			}
			return printCheck(cmd, cfg, ingress, egress)
		},
	}
	addOutputFlags(cmd, outputTable, outputJSON)
	return cmd
}

func printCheck(cmd *cobra.Command, cfg *config.Config, ingress, egress bool) error {
	roles := []string{}
	if ingress {
		roles = append(roles, "ingress")
	}
	if egress {
		roles = append(roles, "egress")
	}
	if outputOf(cmd) == outputJSON {
		return printJSON(cmd.OutOrStdout(), map[string]any{
			"schema": "hoft.config-check/1", "ok": true, "file": cfg.File(), "site": cfg.Name, "roles": roles, "warnings": append([]string{}, cfg.Warnings()...),
		})
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: ok (site %s, %s)\n", cfg.File(), cfg.Name, strings.Join(roles, " and "))
	return err
}

func newConfigShowCmd() *cobra.Command {
	var origin bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print every value in effect, as a configuration file",
		Long: "Print every value in effect, as a configuration file that loads to the same values. With --origin\n" +
			"each line says where its value came from: the file and line, a variable, --set, or default.",
		Example: `  hoft config show --origin
  hoft config show --config a.yaml --json | jq '.values[]'`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			if outputOf(cmd) != outputJSON {
				return cfg.WriteYAML(cmd.OutOrStdout(), origin)
			}
			values := cfg.Show()
			if !origin {
				for i := range values {
					values[i].Origin, values[i].Where = "", ""
				}
			}
			return printJSON(cmd.OutOrStdout(), map[string]any{"schema": "hoft.config/1", "file": cfg.File(), "values": values})
		},
	}
	cmd.Flags().BoolVar(&origin, "origin", false, "say where each value came from")
	addOutputFlags(cmd, "yaml", outputJSON)
	return cmd
}

func newConfigInitCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a commented configuration to start from, to FILE or standard output",
		Example: `  hoft config init hoft.yaml
  hoft config init | less`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				_, err := io.WriteString(cmd.OutOrStdout(), config.Sample)
				return err
			}
			if err := writeNew(args[0], config.Sample); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Wrote %s. Change names, folders and addresses, then: hoft config check --config %s\n", args[0], args[0])
			return nil
		},
	}
}

// writeNew writes a file that must not be there yet.
func writeNew(file, text string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists and is left as it is; name another file or remove it", file)
	}
	if err != nil {
		return fmt.Errorf("writing the sample: %w", err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing the sample: %w", err)
	}
	return nil
}

// printJSON writes v on one line.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
