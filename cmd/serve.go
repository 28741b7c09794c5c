package cmd

import (
	"context"
	"fmt"
	"io"
	stdlog "log"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/site"
)

func newServeCmd() *cobra.Command {
	var role string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run this site: take calls in, make calls, or both",
		Long: "serve runs one site until it is told to stop (Ctrl-C or SIGTERM). Everything that was accepted is\n" +
			"stored and goes on at the next start; a second Ctrl-C stops at once and loses nothing either.\n\n" +
			"The role ingress takes callers' requests in; egress makes the calls to the servers behind this site.\n" +
			"Without --role the sections of the configuration decide.",
		Example: "  hoft serve --role=ingress --config a.yaml\n" +
			"  hoft serve --role=ingress,egress\n" +
			"  hoft serve --set ingress.listen=127.0.0.1:8090",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			var roles site.Roles
			if roles.Ingress, roles.Egress, err = cfg.Roles(role); err != nil {
				return withExit(exitUsage, err)
			}
			log, err := newLogger(c, cfg.Log)
			if err != nil {
				return withExit(exitUsage, err)
			}
			return serve(c.Context(), cfg, roles, log)
		},
	}
	c.Flags().StringVar(&role, "role", "", "ingress, egress, or both by comma (default: the sections present)")
	return c
}

func serve(ctx context.Context, cfg *config.Config, roles site.Roles, log zerolog.Logger) error {
	tuneMemory()
	stdlog.SetOutput(io.Discard) // net/http prints bytes of a callee there that nobody asked for: they may be secret
	s, err := site.Open(cfg, roles, log)
	if err != nil {
		return err
	}
	ev := log.Info().Str("version", buildVersion()).Str("site", s.Name()).Str("id", s.ID().String()).Str("state", cfg.StateDir).
		Str("outbox", cfg.Pipe.Outbox).Str("inbox", cfg.Pipe.Inbox).Int("peers", len(cfg.Peers))
	if a := s.Addr(); a != nil {
		ev = ev.Str("ingress", fmt.Sprintf("http://%s", a))
	}
	if a := s.DataAddr(); a != nil {
		ev = ev.Str("data", a.String())
	}
	if a := s.AdminAddr(); a != nil {
		ev = ev.Str("admin", fmt.Sprintf("http://%s", a))
	}
	if roles.Egress {
		ev = ev.Int("upstreams", len(cfg.Egress.Upstreams))
	}
	ev.Msg("hoft serves")
	return s.Run(ctx)
}
