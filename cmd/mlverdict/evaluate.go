// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/evaluation"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/training"
	"github.com/mlverdict/mlverdict/internal/waf"
)

type evaluateOptions struct {
	waf           waf.Config
	format        string
	half          string
	workers       int
	excludeBenign []string
	promises      evaluation.Promises
	verdicts      string
	baseline      string
}

func newEvaluateCommand() *cobra.Command {
	var o evaluateOptions
	cmd := &cobra.Command{
		Use:   "evaluate FILE...",
		Short: "count what CRS alone and CRS with the second verdict deny",
		Long: `Evaluate replays requests through Coraza with CRS and the plugin, and counts by set, label and class: requests, those
that Coraza itself refused, those that CRS alone denies, and those that are denied in the chosen mode.

A row that cannot be used is named on standard error and makes the exit status 1, after the table.

--require holds the totals to promises, with commas between them; a broken one is named and makes the exit status 1:
fpr, the share of the benign requests denied; cleared, the share of CRS's false positives let through; kept, the share of
CRS's true positives denied; caught, the share of all attacks denied.

--verdicts writes what became of each request to a file, without the requests; --baseline reads such a file of a former
run and prints what changed, request by request.`,
		Example: `  mlverdict evaluate --paranoia 2 traffic.jsonl.gz
  mlverdict evaluate --require 'fpr<=0.01,kept>=0.97' traffic.jsonl.gz attacks.jsonl.gz
  mlverdict evaluate --verdicts before.jsonl traffic.jsonl.gz
  mlverdict evaluate --baseline before.jsonl --model site.model traffic.jsonl.gz
  mlverdict evaluate --paranoia 4 --model site.model --format json benign.jsonl attacks.jsonl.gz`,
		Args: someFiles,
		RunE: func(cmd *cobra.Command, files []string) error {
			if cmd.Flags().Changed("exclude-benign") && len(o.excludeBenign) == 0 {
				return usagef("--exclude-benign names no set")
			}
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), files)
		},
	}
	wafFlags(cmd, &o.waf)
	formatFlag(cmd, &o.format)
	halfFlag(cmd, &o.half)
	f := cmd.Flags()
	f.Var(&bounded{&o.workers, 0, 1024}, "workers", "requests replayed at a time, up to 1024 (0 = one a core)")
	f.StringSliceVar(&o.excludeBenign, "exclude-benign", nil, "leave the benign rows of these `SETS` out of the totals")
	f.Func("require", "`PROMISES` that decide the exit status, such as 'fpr<=0.01,kept>=0.97'", func(text string) (err error) {
		o.promises, err = evaluation.ParsePromises(text)
		return err
	})
	f.StringVar(&o.verdicts, "verdicts", "", "`FILE` to write the verdict on each request to, JSON lines; may be that of --baseline")
	f.StringVar(&o.baseline, "baseline", "", "`FILE` of a former run's --verdicts: print what changed")
	return cmd
}

// result is the contract of --format json.
type result struct {
	Model     string             `json:"model"`
	Paranoia  int                `json:"paranoia_level"`
	Mode      string             `json:"mode"`
	Threshold int                `json:"threshold"`
	Elapsed   float64            `json:"elapsed_seconds"`
	Groups    []evaluation.Group `json:"groups"`
	Errors    int64              `json:"errors"`
	Totals    evaluation.Totals  `json:"totals"`

	Changes []evaluation.Change `json:"changes,omitempty"` // with --baseline
}

func (o *evaluateOptions) run(ctx context.Context, stdout, stderr io.Writer, files []string) error {
	var verdicts verdictLog
	if err := verdicts.open(o.baseline, o.verdicts, slices.Concat(files, []string{o.waf.ModelPath})); err != nil {
		return err
	}
	defer verdicts.discard()
	m, err := loadModel(o.waf.ModelPath)
	if err != nil {
		return err
	}
	w, err := waf.New(o.waf)
	if err != nil {
		return err
	}
	reader, err := traffic.Open(files...)
	if err != nil {
		return err
	}
	defer reader.Close()
	rows := newRows(reader, stderr, "evaluating")
	start := time.Now()
	benign := map[string]bool{}
	tally, err := evaluation.Run(ctx, w, o.chosen(rows, benign), o.workers,
		func(row *traffic.Request, err error) {
			rows.advance()
			rows.fail(&traffic.Error{File: row.File, Line: row.Line, Err: err})
		},
		func(row *traffic.Request, out evaluation.Outcome) {
			rows.advance()
			verdicts.add(row, out)
		})
	rows.finish()
	if err != nil {
		return err
	}
	if len(tally.Groups()) == 0 && rows.failed.Load() == 0 {
		return errors.New("evaluate: no request in these files to evaluate")
	}
	if err := cmp.Or(verdicts.close(), o.checkExcluded(benign)); err != nil {
		return err
	}
	out := result{
		Model: m.ID(), Paranoia: o.waf.Paranoia, Mode: o.waf.Mode, Threshold: o.waf.Threshold,
		Elapsed: time.Since(start).Seconds(), Groups: tally.Groups(), Errors: rows.failed.Load(),
		Totals: tally.Totals(o.excludeBenign), Changes: verdicts.changes,
	}
	return errors.Join(out.print(stdout, o.format), rows.err(), o.promises.Check(out.Totals))
}

// halfFlag declares --half.
func halfFlag(cmd *cobra.Command, half *string) {
	*half = allSites
	cmd.Flags().Var(&choice{half, []string{allSites, string(training.Tune), string(training.Test)}}, "half",
		"use the benign rows of `SITES`: all, tune (the half that train --tune uses) or test (the other half)")
}

const allSites = "all"

// inHalf reports whether --half chooses a row. It chooses every attack: no attack calibrates.
func inHalf(r *traffic.Request, half string) bool {
	return half == allSites || r.Label == traffic.Attack || string(training.HalfOf(r)) == half
}

// formatFlag declares --format.
func formatFlag(cmd *cobra.Command, format *string) {
	*format = "table"
	cmd.Flags().Var(&choice{format, []string{"table", "json"}}, "format", "output `FORMAT`: table or json")
}

// checkExcluded names a set of --exclude-benign that has no benign row: of a misspelt one the totals are not those that were meant.
func (o *evaluateOptions) checkExcluded(benign map[string]bool) error {
	for _, set := range o.excludeBenign {
		if !benign[set] {
			return fmt.Errorf("evaluate: --exclude-benign: no benign row is of set %q (want some of %q)", set, slices.Sorted(maps.Keys(benign)))
		}
	}
	return nil
}

// chosen yields the rows of the chosen half of the sites, and notes the sets of the benign rows of both.
func (o *evaluateOptions) chosen(rows *rows, benign map[string]bool) func(func(*traffic.Request) bool) {
	return func(yield func(*traffic.Request) bool) {
		for row := range rows.all() {
			if row.Label == traffic.Benign {
				benign[row.Set] = true
			}
			if inHalf(row, o.half) && !yield(row) {
				return
			}
		}
	}
}

func (r *result) print(w io.Writer, format string) error {
	if format == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	fmt.Fprintf(w, "model %s, paranoia level %d, mode %s, threshold %d\n\n", r.Model, r.Paranoia, r.Mode, r.Threshold)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "set\tlabel\tclass\trequests\tengine\tCRS denies\tdenied\tof CRS's\t")
	for _, g := range r.Groups {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t\n", printable(g.Set), g.Label, printable(g.Class), g.Requests, g.EngineDenied,
			g.CRSDenied, g.Denied, percent(g.Denied, g.CRSDenied))
	}
	for _, total := range []struct {
		label string
		evaluation.Count
	}{{"benign", r.Totals.Benign}, {"attack", r.Totals.Attack}} {
		fmt.Fprintf(t, "total\t%s\t\t%d\t\t%d\t%d\t%s\t\n", total.label, total.Requests, total.CRSDenied, total.Denied,
			percent(total.Denied, total.CRSDenied))
	}
	if r.Errors > 0 {
		fmt.Fprintf(t, "errors\t\t\t%d\t\t\t\t\t\n", r.Errors)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i, change := range r.Changes {
		if i == 0 {
			fmt.Fprintf(w, "\n%d requests changed:\n", len(r.Changes))
		}
		fmt.Fprintln(w, printable(change.String()))
	}
	return nil
}

// percent is n of total, "-" where there is nothing to take a part of.
func percent(n, total int) string {
	if total == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", 100*float64(n)/float64(total))
}
