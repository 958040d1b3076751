// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/robustness"
)

type paddingOptions struct {
	suiteOptions
	payloads int
	whole    int
	most     int // size of the padding, bytes
}

func newPaddingCommand() *cobra.Command {
	o := paddingOptions{payloads: 50, whole: 2, most: 1000}
	cmd := &cobra.Command{
		Use:   "padding FILE...",
		Short: "attacks that text around them hides",
		Long: fmt.Sprintf(`Padding draws attacks from request files, half of them at most %d bytes long where the class has such, and puts 1, 10,
100 and 1,000 kB of letters, JSON, special characters, Base64, HTML and Markov text before, after and around them. Of
those that CRS and the model both deny alone it counts how many are still denied, and how the score changes.

On views, the padded text takes the payload's place and CRS's matches are those of the bare payload. With --whole, some
go through CRS as a whole, up to 100 kB, at the first paranoia level.`, robustness.Short),
		Example: `  mlverdict robustness padding attacks.jsonl.gz
  mlverdict robustness padding --payloads 10 --whole 0 --most 100 --paranoia 2 attacks.jsonl.gz`,
		Args: someFiles,
		RunE: func(cmd *cobra.Command, files []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), files)
		},
	}
	o.flags(cmd, []int{1})
	f := cmd.Flags()
	f.Var(&bounded{&o.payloads, 0, 1_000_000}, "payloads", "`NUMBER` of attacks of each class (0 = all)")
	f.Var(&bounded{&o.whole, 0, 1_000_000}, "whole", "`NUMBER` of attacks of each class that go through CRS in each text and size")
	f.Var(&bounded{&o.most, 1, 1000}, "most", "largest padding, `kB`")
	return cmd
}

func (o *paddingOptions) run(ctx context.Context, stdout, stderr io.Writer, files []string) error {
	m, attacks, err := o.load(files, stderr, false)
	if err != nil {
		return err
	}
	suite := robustness.Padding{
		Model: m, ModelPath: o.model, Seed: o.seed, Attacks: robustness.Draw(attacks, o.payloads, robustness.Short, o.rng()),
		Sizes:  robustness.SizesUpTo(o.most),
		Levels: o.levels, Whole: o.whole,
	}
	bar := newBar(int64(suite.Steps()), stderr, "padding")
	suite.Advance = func() { bar.Add(1) }
	report, err := suite.Run(ctx)
	bar.Finish()
	if err != nil {
		return err
	}
	return o.write(stdout, "padding", report, o.command("padding",
		fmt.Sprintf("--payloads %d --whole %d --most %d", o.payloads, o.whole, o.most), files))
}
