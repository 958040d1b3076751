// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/robustness"
)

type adversarialOptions struct {
	suiteOptions
	payloads int
	budget   int
	resume   string
}

func newAdversarialCommand() *cobra.Command {
	o := adversarialOptions{payloads: 300, budget: 2000}
	cmd := &cobra.Command{
		Use:   "adversarial FILE...",
		Short: "attacks that a search gets past the defence",
		Long: `Adversarial draws attacks from request files and searches for mutations that keep what they do and are not denied, in the
manner of WAF-A-MoLE: the candidate nearest to passing is mutated next. Each query is a transaction with CRS. CRS alone
and CRS with the second verdict are tried at each paranoia level.

A full run takes hours; the bar shows how long. With --resume it can be stopped at any time: every search that has ended is
written down at once, and the same command takes it from there. Searches against CRS alone are taken for any model. With a
small --budget only the easiest evasions are found.`,
		Example: `  mlverdict robustness adversarial attacks.jsonl.gz
  mlverdict robustness adversarial --payloads 20 --budget 100 --paranoia 1 attacks.jsonl.gz
  mlverdict robustness adversarial --resume searches.jsonl attacks.jsonl.gz`,
		Args: someFiles,
		RunE: func(cmd *cobra.Command, files []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), files)
		},
	}
	o.flags(cmd, []int{1, 4})
	f := cmd.Flags()
	f.Var(&bounded{&o.payloads, 0, 1_000_000}, "payloads", "`NUMBER` of attacks, the classes in turn (0 = all)")
	f.Var(&bounded{&o.budget, 1, 1_000_000}, "budget", "`NUMBER` of queries for an attack and a defence")
	f.StringVar(&o.resume, "resume", "", "`FILE` to keep searches in as they end, and to take them from when the run is started again")
	return cmd
}

func (o *adversarialOptions) run(ctx context.Context, stdout, stderr io.Writer, files []string) error {
	if err := checkOutput("--resume", &o.resume, slices.Concat(files, []string{o.model})...); err != nil {
		return err
	}
	if err := checkDistinct(output{"--resume", o.resume}, output{"--markdown", o.markdown}); err != nil {
		return err
	}
	m, attacks, err := o.load(files, stderr, true)
	if err != nil {
		return err
	}
	finished, err := o.finished()
	if err != nil {
		return err
	}
	if finished != nil {
		defer finished.Close()
	}
	attacks = robustness.DrawEvenly(attacks, o.payloads, o.rng())
	suite := robustness.Adversarial{Model: m, ModelPath: o.model, Seed: o.seed, Attacks: attacks, Budget: o.budget,
		Defences: robustness.Defences(o.levels), Finished: finished}
	bar := newBar(int64(len(attacks)*o.budget*len(suite.Defences)), stderr, "adversarial")
	suite.Advance = func(queries int) { bar.Add(queries) }
	report, err := suite.Run(ctx)
	bar.Finish()
	if errors.Is(err, context.Canceled) && finished != nil {
		return fmt.Errorf("%s; the same command goes on from %s", stopped, o.resume)
	}
	if err != nil {
		return err
	}
	return o.write(stdout, "adversarial", report, o.command("adversarial", fmt.Sprintf("--payloads %d --budget %d", o.payloads, o.budget), files))
}

// finished opens the file of --resume; without one there is nil.
func (o *adversarialOptions) finished() (*robustness.Searches, error) {
	if o.resume == "" {
		return nil, nil
	}
	return robustness.OpenSearches(o.resume)
}
