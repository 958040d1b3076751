// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/server"
	"github.com/mlverdict/mlverdict/internal/waf"
)

// newServeCommand is what load compares with: the server of mlverdict serve, with CRS alone.
func newServeCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "serve",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w, err := waf.New(waf.Config{Paranoia: 1})
			if err != nil {
				return err
			}
			ln, err := server.Listen("127.0.0.1:0")
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "http://%s\n", ln.Addr())
			errs := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			access := slog.New(slog.NewTextHandler(cmd.OutOrStdout(), nil))
			return server.Serve(cmd.Context(), ln, server.New(server.Config{WAF: w, Access: access, Errors: errs}), errs)
		},
	}
}
