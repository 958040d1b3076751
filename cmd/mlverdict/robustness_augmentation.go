// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/robustness"
	"github.com/mlverdict/mlverdict/internal/scoreboard"
	"github.com/mlverdict/mlverdict/internal/traffic"
)

type augmentationOptions struct {
	sectionOptions
	before, after string
	cache         string

	// How much of each suite.
	noise, padding, most, mutation, adversarial, budget int
}

func newAugmentationCommand() *cobra.Command {
	o := augmentationOptions{noise: 20_000, padding: 25, most: 100, mutation: 100, adversarial: 30, budget: 100}
	cmd := &cobra.Command{
		Use:   "augmentation DIR",
		Short: "models before and after augmentation, in one table",
		Long: `Augmentation puts two models through every other suite at reduced sizes, and through the test of the scoreboard, and writes
their figures side by side: one model trained without data augmentation (train --augment=false) and one trained with it.

DIR is a folder as for scoreboard. The suites take the payloads of its attack files, less those that occur in training.
Noise is judged alone, padding on views at paranoia level 1, mutation at every level, the search at 1 and 4.`,
		Example: `  mlverdict robustness augmentation --before plain.model data
  mlverdict robustness augmentation --before plain.model --after site.model --markdown docs/robustness.md data`,
		Args: scoreboardFolder,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), args[0])
		},
	}
	o.flags(cmd, "")
	f := cmd.Flags()
	f.StringVar(&o.before, "before", "", "model `FILE` that was trained without augmentation (required)")
	f.StringVar(&o.after, "after", "", "model `FILE` that was trained with it (default: the embedded model)")
	f.Var(&bounded{&o.noise, 1, 1_000_000_000}, "noise", "`NUMBER` of texts of each family of noise")
	f.Var(&bounded{&o.padding, 1, 1_000_000}, "padding", "`NUMBER` of attacks of each class to put into text")
	f.Var(&bounded{&o.most, 1, 1000}, "most", "largest padding, `kB`")
	f.Var(&bounded{&o.mutation, 1, 1_000_000}, "mutation", "`NUMBER` of attacks of each class to mutate")
	f.Var(&bounded{&o.adversarial, 1, 1_000_000}, "adversarial", "`NUMBER` of attacks to search evasions of")
	f.Var(&bounded{&o.budget, 1, 1_000_000}, "budget", "`NUMBER` of queries of a search")
	cacheFlag(cmd, &o.cache)
	return cmd
}

func (o *augmentationOptions) run(ctx context.Context, stdout, stderr io.Writer, dir string) error {
	if o.before == "" {
		return usagef("no model that was trained without augmentation (want --before FILE; see train --augment=false)")
	}
	inputs, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return err
	}
	if err := checkOutput("--markdown", &o.markdown, append(inputs, o.before, manifestOf(o.before), o.after, manifestOf(o.after))...); err != nil {
		return err
	}
	suite := robustness.Augmentation{Before: robustness.Candidate{Path: o.before}, After: robustness.Candidate{Path: o.after}, Seed: o.seed}
	for _, c := range []*robustness.Candidate{&suite.Before, &suite.After} {
		if c.Model, err = loadModel(c.Path); err != nil {
			return err
		}
	}
	if suite.Data, err = o.data(ctx, stderr, dir); err != nil {
		return err
	}
	if err := o.fill(&suite, stderr); err != nil {
		return err
	}
	var bar *progressbar.ProgressBar
	suite.Progress = func(part string, steps int) func(int) {
		if bar != nil {
			bar.Finish()
		}
		bar = newBar(int64(steps), stderr, part)
		return func(n int) { bar.Add(n) }
	}
	report, err := suite.Run(ctx)
	if bar != nil {
		bar.Finish()
	}
	if err != nil {
		return err
	}
	return o.write(stdout, "augmentation", report, o.command(dir))
}

// data reads the folder, which must hold no row that a model was trained on.
func (o *augmentationOptions) data(ctx context.Context, stderr io.Writer, dir string) (*scoreboard.Data, error) {
	cache, err := replay.OpenCache(o.cache)
	if err != nil {
		return nil, err
	}
	defer cache.Close()
	data, err := loadScoreboard(ctx, cache, stderr, dir)
	if err != nil {
		return nil, err
	}
	for _, path := range []string{o.before, o.after} {
		if manifest := manifestOf(path); manifest != "" {
			if err := checkLeaks(data, manifest); err != nil {
				return nil, err
			}
		}
	}
	return data, nil
}

// fill makes the suites ready to run on the attacks of the test.
func (o *augmentationOptions) fill(s *robustness.Augmentation, stderr io.Writer) error {
	var found robustness.Attacks
	for i := range s.Data.Test {
		if row := &s.Data.Test[i]; row.Label == traffic.Attack && row.Counted() {
			found.Add(row.Request)
		}
	}
	all := o.usable(&found, stderr)
	mutable := o.mutable(all, stderr)
	if len(mutable) == 0 {
		return errNoAttack
	}
	s.Noise = robustness.Noise{Seed: o.seed, Texts: o.noise, Families: robustness.TokenNoise()}
	s.Padding = robustness.Padding{Seed: o.seed, Attacks: robustness.Draw(all, o.padding, robustness.Short, o.rng()),
		Sizes: robustness.SizesUpTo(o.most), Levels: []int{1}}
	s.Mutation = robustness.Mutation{Seed: o.seed, Attacks: robustness.Draw(mutable, o.mutation, 0, o.rng()), Levels: robustness.Levels()}
	s.Adversarial = robustness.Adversarial{Seed: o.seed, Attacks: robustness.DrawEvenly(mutable, o.adversarial, o.rng()), Budget: o.budget,
		Defences: slices.DeleteFunc(robustness.Defences([]int{1, 4}), func(d robustness.Defence) bool { return !d.Second })}
	return nil
}

// command is the command line that gives the same figures, but for the names of folders.
func (o *augmentationOptions) command(dir string) string {
	line := "mlverdict robustness augmentation --before " + filepath.Base(o.before)
	if o.after != "" {
		line += " --after " + filepath.Base(o.after)
	}
	return fmt.Sprintf("%s --seed %d --noise %d --padding %d --most %d --mutation %d --adversarial %d --budget %d %s", line, o.seed,
		o.noise, o.padding, o.most, o.mutation, o.adversarial, o.budget, filepath.Base(dir))
}
