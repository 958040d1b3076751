// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/augment"
	"github.com/mlverdict/mlverdict/internal/robustness"
)

type noiseOptions struct {
	sectionOptions
	model    string
	texts    int
	requests int
	families []string
	files    []string
}

func newNoiseCommand() *cobra.Command {
	o := noiseOptions{texts: 1_000_000, requests: 20_000}
	cmd := &cobra.Command{
		Use:   "noise",
		Short: "how often noise is taken for an attack",
		Long: `Noise draws random texts of many families, from letters to pieces of SQL and PHP, and counts how often the model flags
one (score 50 or less).

Alone: the text is the only value of a request, flagged by one CRS rule of median surprise for its length and that of
its suspicious stretch, so that nothing but the text speaks for it. Whole: the text is the argument of a request that
goes through CRS at paranoia level 4, and counts when both deny it. With --from there are also texts of Markov chains of
normal values and of payloads.`,
		Example: `  mlverdict robustness noise
  mlverdict robustness noise --family sql,json --texts 100000 --requests 0
  mlverdict robustness noise --from may.jsonl.gz --from payloads.jsonl.gz --markdown docs/robustness.md`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	modelFlag(cmd, &o.model)
	o.sectionOptions.flags(cmd, "")
	f.Var(&bounded{&o.texts, 0, 1_000_000_000}, "texts", "`NUMBER` of texts of each family to judge alone")
	f.Var(&bounded{&o.requests, 0, 1_000_000_000}, "requests", "`NUMBER` of texts of each family to send through CRS")
	f.StringSliceVar(&o.families, "family", nil, "try these `FAMILIES` only (default: all)")
	f.StringArrayVar(&o.files, "from", nil, "`FILE` of normal requests or payloads to learn Markov chains from (repeatable)")
	return cmd
}

func (o *noiseOptions) run(ctx context.Context, stdout, stderr io.Writer) error {
	if err := checkOutput("--markdown", &o.markdown, slices.Concat(o.files, []string{o.model})...); err != nil {
		return err
	}
	m, err := loadModel(o.model)
	if err != nil {
		return err
	}
	families, err := o.choose(stderr)
	if err != nil {
		return err
	}
	bar := newBar(int64(len(families)*(o.texts+o.requests)), stderr, "noise")
	suite := robustness.Noise{
		Model: m, Seed: o.seed, Texts: o.texts, Requests: o.requests, Families: families,
		Advance: func(n int) { bar.Add(n) },
	}
	report, err := suite.Run(ctx)
	bar.Finish()
	if err != nil {
		return err
	}
	return o.write(stdout, "noise", report, o.command())
}

// choose finds the families.
func (o *noiseOptions) choose(stderr io.Writer) ([]robustness.NoiseFamily, error) {
	families := robustness.TokenNoise()
	if len(o.files) > 0 {
		sources := augment.NewSources(rand.New(rand.NewPCG(o.seed, 2)))
		var err error
		if o.skipped, err = readSources(sources, o.files, stderr); err != nil {
			return nil, err
		}
		markov, err := robustness.MarkovNoise(sources)
		if err != nil {
			return nil, err
		}
		families = append(families, markov...)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.Name)
	}
	for _, wanted := range o.families {
		if !slices.Contains(names, wanted) {
			return nil, usagef("robustness noise: unknown family %q (want %s)", wanted, strings.Join(names, ", "))
		}
	}
	if len(o.families) > 0 {
		families = slices.DeleteFunc(families, func(f robustness.NoiseFamily) bool { return !slices.Contains(o.families, f.Name) })
	}
	return families, nil
}

// command is the command line that gives the same figures, but for the names of folders.
func (o *noiseOptions) command() string {
	line := fmt.Sprintf("mlverdict robustness noise --seed %d --texts %d --requests %d", o.seed, o.texts, o.requests)
	if len(o.families) > 0 {
		line += " --family " + strings.Join(o.families, ",")
	}
	for _, file := range o.files {
		line += " --from " + filepath.Base(file)
	}
	return line
}
