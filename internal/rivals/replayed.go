// SPDX-License-Identifier: Apache-2.0

package rivals

import (
	"context"
	"fmt"
	"iter"
	"math"

	"github.com/mlverdict/mlverdict/internal/exclusions"
	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/scoreboard"
	"github.com/mlverdict/mlverdict/internal/traffic"
)

// replayed is how many benign requests and how many attacks, at most, are sent through CRS with a configuration.
const replayed = 150

// Replay writes the exclusions up to a cut as SecLang, loads them into CRS after its rules and sends a fixed sample of
// the test through it: what CRS really lets through against what was reckoned.
func (x *Excluder) Replay(ctx context.Context, d *scoreboard.Data, cache *replay.Cache, level int, cut *float64) (scoreboard.Replayed, error) {
	list := x.Until(level, cut)
	out := scoreboard.Replayed{Contender: x.Name, Level: level, Exclusions: len(list)}
	configured, err := cache.WithRules(exclusions.Directives(list))
	if err != nil {
		return out, fmt.Errorf("rivals: %s: %w", x.Name, err)
	}
	when := map[exclusions.Exclusion]float64{}
	for _, e := range list {
		when[e] = x.lists[level-1].when[e]
	}
	for _, label := range []string{traffic.Benign, traffic.Attack} {
		chosen := sample(d.Test, label, level)
		i := 0
		for rec := range configured.Recordings(ctx, requests(chosen), 0) {
			if rec.Err != nil {
				return out, rec.Err
			}
			v := chosen[i].View.AtParanoia(level)
			reckoned := !math.IsInf(cleared(&v, when, x.targets), 1)
			passes := rec.View.AtParanoia(level)
			out.Add(label == traffic.Benign, reckoned, !passes.Denied())
			i++
		}
	}
	return out, ctx.Err()
}

// sample picks requests that CRS denies at a level, evenly over the test.
func sample(test []scoreboard.Sample, label string, level int) (chosen []*scoreboard.Sample) {
	var all []*scoreboard.Sample
	for i := range test {
		if s := &test[i]; s.Label == label && s.Counted() && s.Flagged(level) {
			all = append(all, s)
		}
	}
	n := min(replayed, len(all))
	for i := range n {
		chosen = append(chosen, all[i*len(all)/n])
	}
	return chosen
}

func requests(samples []*scoreboard.Sample) iter.Seq[*traffic.Request] {
	return func(yield func(*traffic.Request) bool) {
		for _, s := range samples {
			if !yield(s.Request) {
				return
			}
		}
	}
}
