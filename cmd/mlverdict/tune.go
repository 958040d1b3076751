// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/training"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/request"
)

type tuneOptions struct {
	measureOptions
	rate   float64
	half   string
	format string
	embed  int
	seed   uint64
}

func newTuneCommand() *cobra.Command {
	var o tuneOptions
	cmd := &cobra.Command{
		Use:   "tune FILE...",
		Short: "find the threshold for a wanted false-positive rate",
		Long: `Tune replays requests and tells, for each paranoia level, the highest threshold at which at most --fpr of the benign
requests are denied, what it keeps of the attacks that CRS denies, and the detect threshold: the highest score that
denies at most 0.1 % of the benign requests that CRS passes. A dash stands where no threshold does, and 0 in JSON.

Attack rows that are bare payloads are put into benign requests of the same files, in query, form, JSON, cookie and
header.`,
		Example: `  mlverdict tune --fpr 0.001 --model site.model benign.jsonl.gz attacks.jsonl.gz`,
		Args:    someFiles,
		RunE: func(cmd *cobra.Command, files []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), files)
		},
	}
	f := cmd.Flags()
	f.Float64Var(&o.rate, "fpr", 0.01, "wanted false-positive `RATE`, 0..1: share of the benign requests that may be denied")
	f.IntVar(&o.embed, "embed", 2000, "bare payloads to put into requests, at most, drawn by --seed")
	f.Uint64Var(&o.seed, "seed", 1, "seed of every random choice")
	halfFlag(cmd, &o.half)
	formatFlag(cmd, &o.format)
	o.declare(cmd)
	return cmd
}

func (o *tuneOptions) run(ctx context.Context, stdout, stderr io.Writer, files []string) error {
	if !(o.rate >= 0 && o.rate <= 1) {
		return usagef("tune: --fpr %v is outside 0..1", o.rate)
	}
	if o.embed < 0 {
		return usagef("tune: --embed %d is negative (0 = leave bare payloads out)", o.embed)
	}
	m, cache, err := o.open()
	if err != nil {
		return err
	}
	defer cache.Close()
	var benign, attacks []request.View
	var envelopes, payloads []*traffic.Request
	readErr := eachRecording(ctx, cache, stderr, "replaying", files, func(rec *replay.Recorded) {
		switch {
		case rec.Refused: // refused before CRS could judge it
		case rec.Request.IsPayload():
			payloads = append(payloads, rec.Request)
		case rec.Request.Label == traffic.Attack:
			attacks = append(attacks, rec.View)
		case inHalf(rec.Request, o.half):
			benign = append(benign, rec.View)
			envelopes = append(envelopes, rec.Request)
		}
	})
	if readErr != nil && !errors.As(readErr, new(skippedRows)) {
		return readErr
	}
	if len(benign) == 0 {
		return errors.Join(readErr, errors.New("tune: no benign requests (rows with the label benign)"))
	}
	if err := eachEmbedded(ctx, cache, payloads, envelopes, o.embed, o.seed, func(rec *replay.Recorded) {
		attacks = append(attacks, rec.View)
	}); err != nil {
		return err
	}
	points, err := training.OperatingPoints(m, benign, attacks, o.rate)
	if err != nil {
		return err
	}
	return errors.Join(printPoints(stdout, o.format, points), readErr)
}

func printPoints(w io.Writer, format string, points []training.Operating) error {
	if format == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(points)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "paranoia level\tthreshold\tdetect threshold\tbenign\tCRS denies\tdenied\tattacks CRS denies\tkept\t")
	for _, p := range points {
		fmt.Fprintf(t, "%d\t%s\t%s\t%d\t%.2f%%\t%.2f%%\t%d\t%s\t\n", p.Paranoia, threshold(p.Threshold), threshold(p.Detect), p.Benign,
			100*p.CRSRate, 100*p.Rate, p.Attacks, percent(p.Kept, p.Attacks))
	}
	return t.Flush()
}

// threshold is a score, "-" where none is low enough.
func threshold(score int) string {
	if score < model.MinScore {
		return "-"
	}
	return strconv.Itoa(score)
}
