// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/report"
	"github.com/mlverdict/mlverdict/internal/scoreboard"
)

type reportOptions struct{ output, mistakes string }

func newReportCommand() *cobra.Command {
	var o reportOptions
	cmd := &cobra.Command{
		Use:   "report FILE",
		Short: "write a scoreboard as one HTML page",
		Long: `Report makes one HTML page, which needs nothing else, of the JSON that scoreboard writes: the claim, curves, score
histograms, the tables against the rivals and which rules' false positives were vetoed.

With --mistakes the page also shows the worst mistakes, and then it quotes requests: look where you send it.`,
		Example: `  mlverdict scoreboard --mistakes mistakes.json -o scoreboard.json data
  mlverdict report --mistakes mistakes.json -o report.html scoreboard.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("want one file, the JSON that mlverdict scoreboard writes")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.OutOrStdout(), args[0]) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "HTML `FILE` to write (default: standard output)")
	f.StringVar(&o.mistakes, "mistakes", "", "`FILE` that scoreboard --mistakes wrote")
	return cmd
}

func (o *reportOptions) run(stdout io.Writer, path string) error {
	if err := checkOutput("--output", &o.output, path, o.mistakes); err != nil {
		return err
	}
	result, err := scoreboard.Read(path)
	if err != nil {
		return err
	}
	var mistakes *scoreboard.Mistakes
	if o.mistakes != "" {
		if mistakes, err = scoreboard.ReadMistakes(o.mistakes); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	if err := report.Write(&b, result, mistakes); err != nil {
		return err
	}
	if o.output == "" {
		_, err = stdout.Write(b.Bytes())
		return err
	}
	mode := fs.FileMode(0o644)
	if mistakes != nil {
		mode = 0o600
	}
	return renameio.WriteFile(o.output, b.Bytes(), mode)
}
