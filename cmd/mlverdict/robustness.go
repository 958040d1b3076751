// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io/fs"
	"os"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/robustness"
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
	cmd.AddCommand(newNoiseCommand(), newPaddingCommand(), newMutationCommand(), newAdversarialCommand(), newAugmentationCommand())
	return cmd
}

// putSection writes a suite's section of a page anew; without a page it does nothing.
func putSection(path, suite, text string) error {
	if path == "" {
		return nil
	}
	page, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return renameio.WriteFile(path, []byte(robustness.Put(string(page), suite, text)), 0o644)
}
