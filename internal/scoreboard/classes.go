// SPDX-License-Identifier: Apache-2.0

package scoreboard

import (
	"maps"
	"slices"
	"strings"

	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/evidence"
)

// ClassReport is one line of the table that Cloudflare's article sums its model up with.
type ClassReport struct {
	Class     string  `json:"class"`
	Requests  int     `json:"requests"`
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
}

// Balanced is the figure of open-appsec's WAF comparison: the mean of the share of attacks denied and of normal
// requests let through, on the requests of its sources (browsing and mgm).
type Balanced struct {
	CRS   BalancedAccuracy `json:"crs"`
	Model BalancedAccuracy `json:"mlverdict"`
}

// BalancedAccuracy is (TPR + TNR) / 2.
type BalancedAccuracy struct {
	TruePositive float64 `json:"tpr"`
	TrueNegative float64 `json:"tnr"`
	Accuracy     float64 `json:"balanced_accuracy"`
}

// GoTestWAF is the score that gotestwaf gives: for API and application security the mean of the shares of attacks
// blocked and of normal texts let through, and the mean of both. A share without tests is left out.
type GoTestWAF struct {
	CRS   GoTestWAFScore `json:"crs"`
	Model GoTestWAFScore `json:"mlverdict"`
}

// GoTestWAFScore are gotestwaf's figures.
type GoTestWAFScore struct {
	API         float64 `json:"api"`
	Application float64 `json:"application"`
	Overall     float64 `json:"overall"`
}

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
				if samples[i].Engine == 0 && m.Judge(&v, &verdict) == nil {
					out[level-1][i] = answer{verdict.Score, verdict.Class}
				}
			}
		}
	})
	return out
}

func (a answer) flags() bool { return a.score > 0 && a.score <= DefaultThreshold }

// benignClass is what a request is that is no attack.
const benignClass = "benign"

// classReports compares the class that the model gives in mode ml_only with the label's. Rows of the side comparison
// stay out.
func classReports(samples []Sample, answers []answer) []ClassReport {
	type count struct{ is, said, both int }
	counts := map[string]*count{}
	of := func(class string) *count {
		if counts[class] == nil {
			counts[class] = &count{}
		}
		return counts[class]
	}
	for i := range samples {
		s := &samples[i]
		if !s.Counted() || s.Engine != 0 {
			continue
		}
		is, said := benignClass, benignClass
		if s.Label == traffic.Attack {
			is = evidence.ClassOf(s.Class).String()
		}
		if answers[i].flags() {
			said = answers[i].class.String()
		}
		of(is).is++
		of(said).said++
		if is == said {
			of(is).both++
		}
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(counts)), func(name string) bool { return name == benignClass })
	var reports []ClassReport
	var micro count
	for _, name := range append([]string{benignClass}, names...) {
		c := of(name)
		reports = append(reports, newClassReport(name, c.is, c.said, c.both))
		micro.is, micro.said, micro.both = micro.is+c.is, micro.said+c.said, micro.both+c.both
	}
	classes := reports
	mean := func(name string, weight func(*ClassReport) float64) ClassReport {
		sum := ClassReport{Class: name, Requests: micro.is}
		total := 0.0
		for i := range classes {
			w := weight(&classes[i])
			total += w
			sum.Precision += w * classes[i].Precision
			sum.Recall += w * classes[i].Recall
			sum.F1 += w * classes[i].F1
		}
		sum.Precision, sum.Recall, sum.F1 = rounded(sum.Precision/total), rounded(sum.Recall/total), rounded(sum.F1/total)
		return sum
	}
	return append(classes,
		newClassReport("micro average", micro.is, micro.said, micro.both),
		mean("macro average", func(*ClassReport) float64 { return 1 }),
		mean("weighted average", func(c *ClassReport) float64 { return float64(c.Requests) }))
}

func newClassReport(name string, is, said, both int) ClassReport {
	return ClassReport{name, is, rounded(share(both, said)), rounded(share(both, is)), rounded(share(2*both, is+said))}
}

// share is n of total, 0 of nothing.
func share(n, total int) float64 {
	if total == 0 {
		return 0
	}
	return float64(n) / float64(total)
}

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

// tally counts attacks and normal requests, and how many of them are denied, by CRS alone and with the model.
type tally struct{ attacks, benign, crsAttacks, crsBenign, attacksDenied, benignDenied int }

func (t *tally) add(s *Sample, a answer, level int) {
	crs, denied := 0, 0
	if s.Flagged(level) {
		crs = 1
		if a.flags() {
			denied = 1
		}
	}
	if s.Label == traffic.Attack {
		t.attacks, t.crsAttacks, t.attacksDenied = t.attacks+1, t.crsAttacks+crs, t.attacksDenied+denied
	} else {
		t.benign, t.crsBenign, t.benignDenied = t.benign+1, t.crsBenign+crs, t.benignDenied+denied
	}
}

func balanced(samples []Sample, answers []answer, level int) Balanced {
	var t tally
	for i := range samples {
		if s := &samples[i]; s.Engine == 0 && (s.Set == browsing || s.Set == "attack-mgm") {
			t.add(s, answers[i], level)
		}
	}
	accuracy := func(attacks, benign int) BalancedAccuracy {
		tpr, tnr := share(attacks, t.attacks), 1-share(benign, t.benign)
		return BalancedAccuracy{rounded(tpr), rounded(tnr), rounded((tpr + tnr) / 2)}
	}
	return Balanced{accuracy(t.crsAttacks, t.crsBenign), accuracy(t.attacksDenied, t.benignDenied)}
}

func goTestWAFScores(samples []Sample, answers []answer, level int) GoTestWAF {
	var api, application tally
	for i := range samples {
		s := &samples[i]
		switch {
		case s.Set != gotestwaf || s.Engine != 0:
		case strings.Contains(strings.SplitN(s.Src, "/", 2)[0], "api"): // gotestwaf's own rule
			api.add(s, answers[i], level)
		default:
			application.add(s, answers[i], level)
		}
	}
	score := func(denied func(*tally) (attacks, benign int)) GoTestWAFScore {
		side := func(t *tally) (float64, bool) {
			attacks, benign := denied(t)
			blocked, passed := share(attacks, t.attacks), 1-share(benign, t.benign)
			switch {
			case t.attacks == 0 && t.benign == 0:
				return 0, false
			case t.attacks == 0:
				return passed, true
			case t.benign == 0:
				return blocked, true
			}
			return (blocked + passed) / 2, true
		}
		a, hasAPI := side(&api)
		b, hasApplication := side(&application)
		overall := a + b
		if hasAPI && hasApplication {
			overall /= 2
		}
		return GoTestWAFScore{rounded(a), rounded(b), rounded(overall)}
	}
	return GoTestWAF{
		CRS:   score(func(t *tally) (int, int) { return t.crsAttacks, t.crsBenign }),
		Model: score(func(t *tally) (int, int) { return t.attacksDenied, t.benignDenied }),
	}
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
