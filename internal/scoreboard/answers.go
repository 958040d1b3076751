// SPDX-License-Identifier: Apache-2.0

package scoreboard

import (
	"maps"
	"slices"

	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/evidence"
)

// answer is the model's full answer on one sample at one level.
type answer struct {
	score int
	class evidence.Class
}

// Ask takes the model's answers on all of the test, also where CRS lets a request pass, and fills in the tables that
// rest on score and class.
func (r *Result) Ask(d *Data, m *model.Model) {
	answers := ask(m, d.Test)
	for level := 1; level <= Levels; level++ {
		at := answers[level-1]
		r.Classes[level-1] = classReports(d.Test, at)
		r.Article[level-1] = articleReports(d.Test, at)
		r.Histograms[level-1] = histogram(d.Test, at, level)
		r.WAF[level-1] = balanced(d.Test, at, level)
		r.GoTestWAF[level-1] = goTestWAFScores(d.Test, at, level)
		r.Rules[level-1] = vetoes(d.Test, at, level)
	}
}

func ask(m *model.Model, samples []Sample) (out [Levels][]answer) {
	for i := range out {
		out[i] = make([]answer, len(samples))
	}
	parallel(len(samples), func() func(int) {
		var verdict model.Verdict
		return func(i int) {
			for level := 1; level <= Levels; level++ {
				v := samples[i].View.AtParanoia(level)
				if !samples[i].Refused && m.Judge(&v, &verdict) == nil {
					out[level-1][i] = answer{verdict.Score, verdict.Class}
				}
			}
		}
	})
	return out
}

func (a answer) flags() bool { return a.score > 0 && a.score <= DefaultThreshold }

func histogram(samples []Sample, answers []answer, level int) (h Histogram) {
	for i := range samples {
		if s := &samples[i]; s.Flagged(level) && answers[i].score > 0 {
			switch {
			case s.Set == browsing:
				h.Benign[answers[i].score-1]++
			case s.Label == traffic.Attack && s.Counted():
				h.Attack[answers[i].score-1]++
			}
		}
	}
	return h
}

// vetoes lists the rules that take part in false positives of the browsing test, the most frequent first.
func vetoes(samples []Sample, answers []answer, level int) []VetoedRule {
	byRule := map[int]*VetoedRule{}
	for i := range samples {
		s := &samples[i]
		if s.Set != browsing || !s.Flagged(level) {
			continue
		}
		v := s.View.AtParanoia(level)
		for j := range v.Matches {
			m := &v.Matches[j]
			if !v.Counts(m) {
				continue
			}
			if byRule[m.Rule] == nil {
				byRule[m.Rule] = &VetoedRule{Rule: m.Rule}
			}
			byRule[m.Rule].Denied++
			if !answers[i].flags() {
				byRule[m.Rule].Vetoed++
			}
		}
	}
	list := []VetoedRule{}
	for _, id := range slices.Sorted(maps.Keys(byRule)) {
		list = append(list, *byRule[id])
	}
	slices.SortStableFunc(list, func(a, b VetoedRule) int { return b.Denied - a.Denied })
	return list
}
