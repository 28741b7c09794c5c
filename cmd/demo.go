package cmd

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/demo"
)

type demoFlags struct {
	calls, concurrency int
	faults             string
	seed               uint64
	once, keep         bool
	dir, listen        string
}

func newDemoCmd() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run two sites here with a bad file mover between them, and watch calls get through",
		Long: "demo runs two whole sites in a temporary folder, with an ordinary HTTP server behind the second one, and\n" +
			"between them a mover that carries files from folder to folder and loses, cuts, delays and repeats some\n" +
			"of them. It makes calls through the first site, checks every answer, prints what came of it, and stays\n" +
			"up for calls of your own until Ctrl-C. Nothing needs to be installed or set up.\n\n" +
			"--faults takes none, light or heavy, or a list of kinds: drop, truncate, duplicate, reorder and partial\n" +
			"(shown half-written) as a share of all files, delay as a time or a range.\n\n" +
			"With --once the exit code is 1 if an answer was wrong or missing, or a call was executed twice.",
		Example: "  hoft demo\n" +
			"  hoft demo --faults heavy --calls 100\n" +
			"  hoft demo --once --json --calls 10000 --concurrency 64 --faults drop=0.05,truncate=0.1",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd, f) },
	}
	flags := cmd.Flags()
	flags.IntVar(&f.calls, "calls", 40, "how many calls are made")
	flags.IntVar(&f.concurrency, "concurrency", 4, "how many calls are made at once")
	flags.StringVar(&f.faults, "faults", "light", "what the mover does to files: none, light, heavy or `kind=value,...`")
	flags.Uint64Var(&f.seed, "seed", 0, "decides over calls and faults (default: another one each time)")
	flags.BoolVar(&f.once, "once", false, "end after the totals")
	flags.StringVar(&f.dir, "dir", "", "`folder` for all files, new or empty; it is kept (default: a temporary one)")
	flags.BoolVar(&f.keep, "keep", false, "keep the temporary folder")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:0", "`address` where calls are taken in; port 0 is any free one")
	must(cmd.RegisterFlagCompletionFunc("faults", cobra.FixedCompletions([]string{"none", "light", "heavy"}, cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.MarkFlagDirname("dir"))
	addOutputFlags(cmd, outputTable, outputJSON)
	return cmd
}

const (
	demoMaxCalls       = 1_000_000
	demoMaxConcurrency = 1000
)

func runDemo(cmd *cobra.Command, f demoFlags) error {
	o, err := f.options(cmd)
	if err != nil {
		return withExit(exitUsage, err)
	}
	var show demo.Show
	if outputOf(cmd) == outputJSON {
		show = &demoJSON{out: cmd.OutOrStdout(), err: cmd.ErrOrStderr()}
	} else {
		show = newDemoScreen(cmd)
	}
	t, err := demo.Run(cmd.Context(), o, show)
	if err != nil {
		return err
	}
	if f.once && !t.Good() {
		return withExit(exitFailed, fmt.Errorf("of %d calls %d were answered wrong, %d not at all, and %d were executed twice",
			t.Calls, t.Wrong, t.Lost, t.ExecutedTwice))
	}
	return nil
}

func (f demoFlags) options(cmd *cobra.Command) (demo.Options, error) {
	setUpZerolog()
	o := demo.Options{Calls: f.calls, Concurrency: f.concurrency, Seed: f.seed, Once: f.once, Dir: f.dir, Keep: f.keep, Listen: f.listen, LogLevel: zerolog.InfoLevel}
	if !cmd.Flags().Changed("seed") {
		o.Seed = uint64(rand.Uint32()) // short enough to be typed again
	}
	if f.calls < 0 || f.calls > demoMaxCalls {
		return o, fmt.Errorf("--calls %d: write a number from 0 to %d", f.calls, demoMaxCalls)
	}
	if f.concurrency < 1 || f.concurrency > demoMaxConcurrency {
		return o, fmt.Errorf("--concurrency %d: write a number from 1 to %d", f.concurrency, demoMaxConcurrency)
	}
	if f.listen == "" {
		return o, errors.New("--listen is empty: write an address as in 127.0.0.1:8080")
	}
	var err error
	if o.Faults, err = demo.ParseFaults(f.faults); err != nil {
		return o, err
	}
	if l := cmd.Flags().Lookup("log-level").Value.String(); l != "" {
		o.LogLevel, err = zerolog.ParseLevel(l)
	}
	return o, err
}
