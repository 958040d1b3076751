// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/exclusions"
	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/request"
)

type suggestOptions struct {
	measureOptions
	paranoia  int
	threshold int
	half      string
	attacks   []string
	max       int
	format    string
	output    string
}

func newSuggestCommand() *cobra.Command {
	o := suggestOptions{paranoia: 1, threshold: 50, max: 20, format: "table"}
	cmd := &cobra.Command{
		Use:   "suggest-exclusions FILE...",
		Short: "find the rule exclusions that would spare CRS its false positives",
		Long: `Suggest-exclusions replays traffic, takes the requests that CRS denies and the second verdict clears, and finds the few
exclusions of a rule for a target (a whole rule only where it matched what no target names) with which CRS's score falls
below its threshold: most of these requests for fewest known attacks.

Rows need no label; those labelled attack are known attacks, as are those of --attacks. Bare payloads are put into requests
of the traffic that CRS passes. The exclusions are loaded into CRS and the requests replayed before anything is printed.

Of each exclusion it tells how many requests it explains together with those above it, alone, and for how many it is needed;
on how many sites (site, else the Host header); how many of the attacks that CRS denies are lost together with those above it,
and how many it would lose if they all came in its very target: attackers choose their target, collections of attacks do not.

--format seclang writes a file to include after CRS's rules.`,
		Example: `  mlverdict suggest-exclusions --paranoia 2 --attacks attacks.jsonl.gz traffic.jsonl.gz
  mlverdict suggest-exclusions --format seclang -o exclusions.conf traffic.jsonl.gz`,
		Args: someFiles,
		RunE: func(cmd *cobra.Command, files []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), files)
		},
	}
	f := cmd.Flags()
	f.Var(&bounded{&o.paranoia, 1, request.ParanoiaLevels}, "paranoia", "paranoia `LEVEL` of CRS, 1 to 4")
	f.Var(&bounded{&o.threshold, model.MinScore, model.MaxScore}, "threshold", "`SCORE`, 1 to 99, at or below which the model flags a request")
	f.StringArrayVar(&o.attacks, "attacks", nil, "`FILE` of requests or payloads labelled attack (repeatable)")
	f.Var(&bounded{&o.max, 1, 1000}, "max", "`NUMBER` of exclusions, at most, 1 to 1000")
	halfFlag(cmd, &o.half)
	o.declare(cmd)
	f.Var(&choice{&o.format, []string{"table", "seclang", "json"}}, "format", "output `FORMAT`: table, seclang or json")
	f.StringVarP(&o.output, "output", "o", "", "`FILE` to write (default: standard output)")
	return cmd
}

func (o *suggestOptions) run(ctx context.Context, stdout, stderr io.Writer, files []string) error {
	if err := checkOutput("--output", &o.output, slices.Concat(files, o.attacks, []string{o.model})...); err != nil {
		return err
	}
	m, cache, err := o.open()
	if err != nil {
		return err
	}
	defer cache.Close()
	s := &suspects{model: m, options: o}
	readErr := s.read(ctx, cache, stderr, files)
	if readErr != nil && !errors.As(readErr, new(skippedRows)) {
		return readErr
	}
	if s.traffic == 0 {
		return errors.Join(readErr, errors.New("suggest-exclusions: no normal requests (rows without a label, or with the label benign)"))
	}
	found := suggested{
		Model: m.ID(), Paranoia: o.paranoia, Threshold: o.threshold, Requests: s.traffic, Denied: s.denied, Vetoed: len(s.vetoed),
		Sites: s.sites(), AttacksGiven: s.given, Attacks: len(s.attacks), Unnamed: s.unnamed(),
	}
	found.list(exclusions.Suggest(s.vetoed, s.attackViews(), o.max))
	if err := s.replayed(ctx, cache, stderr, &found); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := found.print(&b, o.format); err != nil {
		return err
	}
	if o.output == "" {
		_, err = stdout.Write(b.Bytes())
	} else {
		err = renameio.WriteFile(o.output, b.Bytes(), 0o644)
	}
	return errors.Join(err, readErr)
}

// suspects are the requests that the suggestions are made of.
type suspects struct {
	model   *model.Model
	options *suggestOptions

	traffic, denied int // requests; those that CRS denies
	vetoed          []exclusions.Vetoed
	requests        []*traffic.Request // of vetoed
	given           int                // attacks that reach CRS
	attacks         []replay.Recorded  // those that CRS denies, at the paranoia level

	payloads  []*traffic.Request
	envelopes []*traffic.Request // requests that CRS passes: what it denies with a payload in it, it denies for the payload
}

// put is how many bare payloads are put into requests, as tune does by default.
const put = 2000

// read takes traffic and attacks. Rows that could not be used are a skippedRows.
func (s *suspects) read(ctx context.Context, cache *replay.Cache, stderr io.Writer, files []string) error {
	reader, err := traffic.Open(files...)
	if err != nil {
		return err
	}
	reader.Unlabelled = true
	var judgeErr error
	skipped := eachRow(ctx, cache, stderr, "replaying", reader, func(rec *replay.Recorded) {
		judgeErr = errors.Join(judgeErr, s.take(rec, true))
	})
	if len(s.options.attacks) > 0 && (skipped == nil || errors.As(skipped, new(skippedRows))) {
		more := eachRecording(ctx, cache, stderr, "replaying attacks", s.options.attacks, func(rec *replay.Recorded) {
			judgeErr = errors.Join(judgeErr, s.take(rec, false))
		})
		if more != nil && !errors.As(more, new(skippedRows)) {
			return more
		}
		skipped = errors.Join(skipped, more)
	}
	if err := cmp.Or(judgeErr, eachEmbedded(ctx, cache, s.payloads, s.envelopes, put, 1, s.attack)); err != nil {
		return err
	}
	return skipped
}

// take sorts a row in. Those of the attack files that are labelled benign are no traffic.
func (s *suspects) take(rec *replay.Recorded, isTraffic bool) error {
	r := rec.Request
	switch {
	case rec.Refused: // refused before CRS could judge it
	case r.IsPayload():
		s.payloads = append(s.payloads, r)
	case r.Label == traffic.Attack:
		s.attack(rec)
	case isTraffic && inHalf(r, s.options.half):
		s.traffic++
		view := rec.View.AtParanoia(s.options.paranoia)
		if !view.Denied() {
			s.envelopes = append(s.envelopes, r)
			return nil
		}
		s.denied++
		var verdict model.Verdict
		if err := s.model.Judge(&view, &verdict); err != nil {
			return err
		}
		if verdict.Score > s.options.threshold {
			s.vetoed = append(s.vetoed, exclusions.Vetoed{View: view, Site: siteOf(r)})
			s.requests = append(s.requests, r)
		}
	}
	return nil
}

func (s *suspects) attack(rec *replay.Recorded) {
	s.given++
	known := *rec
	if known.View = rec.View.AtParanoia(s.options.paranoia); known.View.Denied() {
		s.attacks = append(s.attacks, known)
	}
}

func (s *suspects) attackViews() []request.View {
	views := make([]request.View, len(s.attacks))
	for i := range s.attacks {
		views[i] = s.attacks[i].View
	}
	return views
}

// siteOf names the site that a request went to, empty if it does not say.
func siteOf(r *traffic.Request) string {
	if r.Site != "" {
		return r.Site
	}
	for _, h := range r.Headers {
		if strings.EqualFold(h[0], "host") {
			return strings.ToLower(h[1])
		}
	}
	return ""
}

func (s *suspects) sites() int {
	on := map[string]bool{}
	for _, v := range s.vetoed {
		if v.Site != "" {
			on[v.Site] = true
		}
	}
	return len(on)
}

// unnamed counts the vetoed requests with a rule's match in a variable whose name cannot be written.
func (s *suspects) unnamed() (n int) {
	for i := range s.vetoed {
		if exclusions.Unnamed(&s.vetoed[i].View) {
			n++
		}
	}
	return n
}

// replayed sends what the exclusions explain, and the attacks from which they take something, through CRS with the
// exclusions loaded, and counts what passes.
func (s *suspects) replayed(ctx context.Context, cache *replay.Cache, stderr io.Writer, found *suggested) error {
	if len(found.Exclusions) == 0 {
		return nil
	}
	configured, err := cache.WithRules(found.directives())
	if err != nil {
		return err
	}
	all := found.set()
	var explained, touched []*traffic.Request
	for i, r := range s.requests {
		if all.Passes(&s.vetoed[i].View) {
			explained = append(explained, r)
		}
	}
	for i := range s.attacks {
		if all.Touches(&s.attacks[i].View) {
			touched = append(touched, s.attacks[i].Request)
		}
	}
	bar := newBar(int64(len(explained)+len(touched)), stderr, "replaying with the exclusions")
	defer bar.Finish()
	i := 0
	for rec := range configured.Recordings(ctx, slices.Values(slices.Concat(explained, touched)), 0) {
		if rec.Err != nil {
			return rec.Err
		}
		bar.Add(1)
		view := rec.View.AtParanoia(s.options.paranoia)
		switch passes := !view.Denied(); {
		case passes && i < len(explained):
			found.Passing++
		case passes:
			found.Losing++
		}
		i++
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("suggest-exclusions: %w", err)
	}
	return nil
}
