package cmd

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/config"
)

// loadConfig loads the configuration that the global flags name and prints its warnings. Whatever is
// wrong with it ends with exit code 2.
func loadConfig(cmd *cobra.Command) (*config.Config, error) {
	flags := cmd.Flags()
	file, err := flags.GetString("config")
	if err != nil {
		return nil, err
	}
	set, err := flags.GetStringArray("set")
	if err != nil {
		return nil, err
	}
	for flag, key := range map[string]string{"log-level": "log.level", "log-format": "log.format"} {
		if f := flags.Lookup(flag); f.Changed {
			set = append(set, key+"="+f.Value.String())
		}
	}
	cfg, err := config.Load(config.LoadOptions{File: file, Set: set})
	if err != nil {
		return nil, withExit(exitUsage, err)
	}
	for _, w := range cfg.Warnings() {
		fmt.Fprintln(cmd.ErrOrStderr(), "hoft: warning:", w)
	}
	return cfg, nil
}

// setUpZerolog changes what zerolog has for the whole process only: milliseconds in UTC, and err as the
// name of errors.
var setUpZerolog = sync.OnceFunc(func() {
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	zerolog.TimestampFunc = func() time.Time { return time.Now().UTC() }
	zerolog.ErrorFieldName = "err"
})

// newLogger makes the logger of a command, on standard error: lines of JSON, or text for people when that
// is a terminal. log is the section of a loaded configuration, which the flags have been put into.
func newLogger(cmd *cobra.Command, log config.Log) (zerolog.Logger, error) {
	setUpZerolog()
	level, err := zerolog.ParseLevel(log.Level)
	if err != nil {
		return zerolog.Nop(), fmt.Errorf("log.level: %w", err)
	}
	var w io.Writer = cmd.ErrOrStderr()
	if log.Format == "console" || log.Format == "auto" && isTerminal(w) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly, TimeLocation: time.Local, NoColor: !colored(cmd, w)}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger(), nil
}
