// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	"github.com/corazawaf/coraza/v3/types"
	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/server"
	"github.com/mlverdict/mlverdict/internal/waf"
)

type serveOptions struct {
	waf      waf.Config
	listen   string
	upstream string
	guard    bool // upstream was given, be it empty: an unset shell variable must not serve the built-in page
	verbose  bool
}

func newServeCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "guard an application, or try it out on a built-in page",
		Long: `Serve is a reverse proxy behind Coraza, CRS and the second verdict. Without --upstream it answers every request that
passes with a page that shows what the two verdicts said.

Each request is one line on standard output: status, verdict (pass, veto, deny, crs_alone, ml_alone, outbound, engine),
the scores of CRS and of the model, the reason, and the transaction that a denied client is told. A signal
(SIGINT, SIGTERM) stops it when the requests under way have been answered.`,
		Example: `  mlverdict serve
  curl -G localhost:8080/ --data-urlencode "id=1' UNION SELECT password FROM users--"
  mlverdict serve --listen :80 --upstream http://localhost:3000 --paranoia 2 --mode shadow`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unexpected %q (serve takes flags only)", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.guard = cmd.Flags().Changed("upstream")
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	wafFlags(cmd, &o.waf)
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "`ADDRESS` to listen on; port 0 is any free one")
	f.StringVar(&o.upstream, "upstream", "", "`URL` of the application to guard (default: the built-in page)")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log every rule that matches, too, on standard error")
	return cmd
}

func (o *serveOptions) run(ctx context.Context, stdout, stderr io.Writer) error {
	if o.listen == "" { // to the net package every interface and any port: an unset shell variable must not ask for that
		return usagef("serve: --listen is empty (want an address such as 127.0.0.1:8080)")
	}
	cfg := server.Config{
		Access: slog.New(slog.NewTextHandler(stdout, nil)),
		Errors: slog.New(slog.NewTextHandler(stderr, nil)),
	}
	behind := "the built-in page"
	if o.guard {
		var err error
		if cfg.Upstream, err = server.ParseUpstream(o.upstream); err != nil {
			return usageError{err}
		}
		behind = o.upstream
	}
	if o.verbose {
		o.waf.ErrorLog = func(match types.MatchedRule) {
			rule := match.Rule()
			cfg.Errors.Warn(match.Message(), "rule", rule.ID(), "data", match.Data(), "tx", match.TransactionID())
		}
	}
	m, err := loadModel(o.waf.ModelPath)
	if err != nil {
		return err
	}
	if cfg.WAF, err = waf.New(o.waf); err != nil {
		return err
	}
	ln, err := server.Listen(o.listen)
	switch {
	case errors.As(err, new(*net.AddrError)):
		return usageError{err}
	case err != nil:
		return err
	}
	fmt.Fprintf(stderr, "mlverdict: http://%s guards %s (paranoia level %d, mode %s, threshold %d, model %s); Ctrl-C stops it\n",
		ln.Addr(), behind, o.waf.Paranoia, o.waf.Mode, o.waf.Threshold, m.ID())
	return server.Serve(ctx, ln, server.New(cfg), cfg.Errors)
}
