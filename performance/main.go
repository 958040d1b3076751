// SPDX-License-Identifier: Apache-2.0

// Command performance measures mlverdict and writes what it finds into docs/performance.md, each part into a block of
// its own. It is a module of its own: what it needs to measure is none of the product's business.
//
//	performance bench    the benchmarks of the main module and scikit-learn's forest, in turns
//	performance soak     a million requests: does memory grow?
//	performance load     wrk against mlverdict serve, and whether each verdict stays right meanwhile
//	performance record   puts its standard input, such as the table of scripts/fuzz, into a block
//
// All paths are relative to the root of the repository, where it must be started by way of make.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{Use: "performance", Short: "measure mlverdict", SilenceUsage: true}
	root.AddCommand(newBenchCommand(), newSoakCommand(), newLoadCommand(), newServeCommand(), newRecordCommand())
	if root.ExecuteContext(ctx) != nil {
		os.Exit(1)
	}
}

func newRecordCommand() *cobra.Command {
	var into string
	cmd := &cobra.Command{
		Use:   "record BLOCK",
		Short: "put standard input into a block of a document",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := io.ReadAll(cmd.InOrStdin())
			if err != nil {
				return err
			}
			return publish(cmd.OutOrStdout(), into, args[0], string(text))
		},
	}
	intoFlag(cmd, &into)
	return cmd
}

func intoFlag(cmd *cobra.Command, into *string) {
	cmd.Flags().StringVar(into, "into", "", "Markdown `FILE` whose block of this name is replaced")
}

// publish prints a text and puts it into a document's block, where a document is named.
func publish(out io.Writer, document, block, text string) error {
	fmt.Fprintln(out, text)
	if document == "" {
		return nil
	}
	return replaceBlock(document, block, text)
}
