// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func newRobustnessCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "robustness",
		Short: "try the model on text made to mislead it",
		Long: `Robustness holds the second verdict against text that no recording shows enough of. Each suite prints a Markdown table,
or JSON, and gives the same figures for the same model and seed.`,
		Example: `  mlverdict robustness noise --seed 7`,
		Args:    knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(cmd.ErrOrStderr())
			return errors.Join(cmd.Help(), usagef("no suite given"))
		},
		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(newNoiseCommand())
	return cmd
}
