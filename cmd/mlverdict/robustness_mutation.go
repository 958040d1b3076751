// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/robustness"
)

type mutationOptions struct {
	suiteOptions
	payloads int
}

func newMutationCommand() *cobra.Command {
	o := mutationOptions{payloads: 100}
	cmd := &cobra.Command{
		Use:   "mutation FILE...",
		Short: "attacks that mutations hide",
		Long: `Mutation draws attacks from request files and changes their payloads by mutations that keep what they do: case,
comments, blanks, equivalent operators, quotes within words, character references, other spellings of a path… Each
variant goes through CRS, and those that CRS and the model both denied before are counted: how many are still denied
after 1, 3, 10 and 30 random mutations, by which mutators they are lost, and whether their scores rise.

An attack takes part if its payload is a payload row, or the only argument of a query or form, and its class has mutators.`,
		Example: `  mlverdict robustness mutation attacks.jsonl.gz
  mlverdict robustness mutation --payloads 20 --paranoia 1,4 --format json attacks.jsonl.gz`,
		Args: someFiles,
		RunE: func(cmd *cobra.Command, files []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), files)
		},
	}
	o.flags(cmd, robustness.Levels())
	cmd.Flags().Var(&bounded{&o.payloads, 0, 1_000_000}, "payloads", "`NUMBER` of attacks of each class (0 = all)")
	return cmd
}

func (o *mutationOptions) run(ctx context.Context, stdout, stderr io.Writer, files []string) error {
	m, attacks, err := o.load(files, stderr, true)
	if err != nil {
		return err
	}
	attacks = robustness.Draw(attacks, o.payloads, 0, o.rng())
	bar := newBar(int64(len(attacks)), stderr, "mutation")
	suite := robustness.Mutation{Model: m, Seed: o.seed, Attacks: attacks, Levels: o.levels, Advance: func() { bar.Add(1) }}
	report, err := suite.Run(ctx)
	bar.Finish()
	if err != nil {
		return err
	}
	return o.write(stdout, "mutation", report, o.command("mutation", fmt.Sprintf("--payloads %d", o.payloads), files))
}
