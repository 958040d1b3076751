// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/request"
)

func newInspectCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "inspect [FILE.model]",
		Short: "tell what a model file holds",
		Long:  "Inspect checks a model file, the embedded one without an argument, and tells what it holds.",
		Example: `  mlverdict inspect
  mlverdict inspect site.model`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			path := ""
			if len(files) > 0 {
				path = files[0]
			}
			m, err := loadModel(path)
			if err != nil {
				return err
			}
			return describe(cmd.OutOrStdout(), m)
		},
	}
}

// loadModel reads a model file; an empty path means the embedded model.
func loadModel(path string) (*model.Model, error) {
	if path == "" {
		return model.Default(), nil
	}
	return readModel(path, "none")
}

// readModel reads a model file. Its errors advise what to name for the embedded model.
func readModel(path, embedded string) (*model.Model, error) {
	advice := "name a file that mlverdict train wrote, or " + embedded + " for the embedded model"
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("model: %w (%s)", err, advice)
	}
	defer f.Close()
	file, err := model.ReadFile(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w (%s)", path, err, advice)
	}
	m, err := model.Read(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w (%s)", path, err, advice)
	}
	return m, nil
}

func describe(w io.Writer, m *model.Model) error {
	p := m.Parts()
	fmt.Fprintf(w, "model %s, %d bytes\n", m.ID(), len(m.Bytes()))
	fmt.Fprintf(w, "schema %s\n", p.Schema.Name)
	for _, f := range p.Schema.Features {
		fmt.Fprintf(w, "  %-18s %s\n", f.Name, f.Doc)
	}
	fmt.Fprintf(w, "forest of %d trees, ψ = %d, %d nodes, seed %d\n", p.Forest.Trees(), p.Forest.Subsample(), p.Forest.Nodes(), p.Seed)
	if p.Chains != nil {
		fmt.Fprintf(w, "payload chains of %d n-grams\n", p.Chains.NGrams())
	}
	if p.Rules != nil {
		fmt.Fprintf(w, "rule table of %d pairs of a rule and a length of match\n", p.Rules.Number())
	}
	fmt.Fprintf(w, "trained on %d normal requests and %d attack texts, calibrated on the former and %d more\n",
		p.Data.Normal, p.Data.Attacks, p.Data.Tuning)
	if p.Data.Base != "" {
		fmt.Fprintf(w, "adapted from model %s to %d requests of a site, knows what is usual in %d of its parameters\n",
			p.Data.Base, p.Data.Site, p.Baseline.Params())
	}
	fmt.Fprintf(w, "training data digest %s\n\nleast anomaly at which a score is given or a lower one:\n", p.Data.Digest)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "paranoia level\t5\t20\t50\t80\t")
	for pl := 1; pl <= request.ParanoiaLevels; pl++ {
		c := p.Calibration[pl-1]
		fmt.Fprintf(t, "%d\t%.4f\t%.4f\t%.4f\t%.4f\t\n", pl, c[5-1], c[20-1], c[50-1], c[80-1])
	}
	return t.Flush()
}
