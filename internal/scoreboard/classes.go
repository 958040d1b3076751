// SPDX-License-Identifier: Apache-2.0

package scoreboard

import (
	"maps"
	"slices"

	"github.com/mlverdict/mlverdict/internal/traffic"
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
