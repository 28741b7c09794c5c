package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/config"
)

const stateDirUsage = "state folder (default: state_dir of the configuration, else $STATE_DIRECTORY, else $XDG_STATE_HOME/hoft, else ~/.local/state/hoft)"

// findState gives the state folder that a command is to look at: --state-dir, else that of the
// configuration, else the default. cfg is the configuration of that folder, nil where there is none. One that was
// named must load; one that was only found is passed over with a warning when it does not.
func findState(cmd *cobra.Command, stateDir string) (dir string, cfg *config.Config, err error) {
	if f := cmd.Flags().Lookup("state-dir"); stateDir == "" && f != nil && f.Changed {
		return "", nil, withExit(exitUsage, errors.New("--state-dir is empty: name a folder, or leave the flag out"))
	}
	given := false // by the flag: then it is meant, whatever folder is named beside it
	if f := cmd.Flags().Lookup("config"); f != nil {
		given = f.Changed
		if cfg, err = loadConfig(cmd); err != nil && (given || os.Getenv("HOFT_CONFIG") != "") {
			return "", nil, err
		}
	}
	if err != nil && !errors.Is(err, config.ErrNoFile) {
		fmt.Fprintf(cmd.ErrOrStderr(), "hoft: warning: the configuration found here is not used: %v\n", firstLine(err))
	}
	switch {
	case stateDir != "":
		if cfg != nil && !given && !sameFolder(stateDir, cfg.StateDir) {
			cfg = nil // of another site
		}
		return stateDir, cfg, nil
	case cfg != nil && cfg.StateDir != "":
		return cfg.StateDir, cfg, nil
	}
	if dir = config.DefaultStateDir(); dir == "" {
		return "", nil, withExit(exitState, errors.New("no default state folder: the environment names no home; name one with --state-dir"))
	}
	return dir, nil, nil
}

// sameFolder says whether two paths are one folder.
func sameFolder(a, b string) bool {
	fa, errA := os.Stat(a)
	fb, errB := os.Stat(b)
	if errA != nil || errB != nil {
		absA, _ := filepath.Abs(a)
		absB, _ := filepath.Abs(b)
		return absA == absB
	}
	return os.SameFile(fa, fb)
}

// firstLine shortens an error for a warning.
func firstLine(err error) string {
	if all := config.Problems(err); len(all) > 0 {
		return all[0].Error()
	}
	return err.Error()
}
