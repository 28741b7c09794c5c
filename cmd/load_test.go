package cmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/config"
)

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	c := &cobra.Command{}
	c.SetErr(&out)
	log, err := newLogger(c, config.Default().Log)
	if err != nil {
		t.Fatal(err)
	}
	log.Debug().Msg("each file")
	log.Info().Err(errors.New("full")).Msg("each call")
	var line struct{ Time, Level, Err, Message string }
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("not one line of JSON: %v\n%s", err, &out)
	}
	if at, err := time.Parse("2006-01-02T15:04:05.000Z", line.Time); err != nil || at.IsZero() {
		t.Errorf("time is not in milliseconds and UTC: %s", line.Time)
	}
	if line.Level != "info" || line.Err != "full" || line.Message != "each call" {
		t.Errorf("%+v", line)
	}
	out.Reset()
	log, err = newLogger(c, config.Log{Level: "warn", Format: "console"})
	if err != nil {
		t.Fatal(err)
	}
	log.Info().Msg("quiet")
	log.Warn().Str("peer", "site-b").Msg("file cut")
	if got := out.String(); !bytes.HasSuffix(out.Bytes(), []byte(" WRN file cut peer=site-b\n")) || bytes.ContainsRune(out.Bytes(), '\x1b') {
		t.Errorf("console: %q", got)
	}
}

func TestColor(t *testing.T) {
	for _, c := range []struct {
		flag, no, force, term string
		want                  bool
	}{
		{"auto", "", "", "xterm", false}, // a buffer is no terminal
		{"auto", "", "1", "dumb", true},
		{"auto", "1", "1", "xterm", false},
		{"auto", "", "0", "xterm", false},
		{"always", "1", "", "dumb", true},
		{"never", "", "1", "xterm", false},
	} {
		t.Setenv("NO_COLOR", c.no)
		t.Setenv("CLICOLOR_FORCE", c.force)
		t.Setenv("TERM", c.term)
		cmd := &cobra.Command{}
		addGlobalFlags(cmd)
		if err := cmd.ParseFlags([]string{"--color", c.flag}); err != nil {
			t.Fatal(err)
		}
		if got := colored(cmd, &bytes.Buffer{}); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
