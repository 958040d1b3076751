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

// The averages of a class table.
const (
	MicroAverage    = "micro average"
	MacroAverage    = "macro average"
	WeightedAverage = "weighted average"
)

// classCount counts the rows of a class: how many are of it, are said to be, and both.
type classCount struct{ is, said, both int }

// classReports compares the class that the model gives in mode ml_only with the label's. Rows of the side comparison
// stay out.
func classReports(samples []Sample, answers []answer) []ClassReport {
	counts := countClasses(samples, answers, (*Sample).evaluatedClass)
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(counts)), func(name string) bool { return name == benignClass })
	reports := reportsOf(counts, append([]string{benignClass}, names...))
	var micro classCount
	for _, c := range counts {
		micro.is, micro.said, micro.both = micro.is+c.is, micro.said+c.said, micro.both+c.both
	}
	return append(reports, newClassReport(MicroAverage, micro), macroAverage(reports), weightedAverage(reports))
}

// articleReports is the table of the three classes that the article has, and of no other rows: normal requests of the browsing
// sites, SQL injection and cross-site scripting. Any other class that the model names is wrong.
func articleReports(samples []Sample, answers []answer) []ClassReport {
	sqli, xss := evidence.SQLi.String(), evidence.XSS.String()
	counts := countClasses(samples, answers, func(s *Sample) string {
		class := s.evaluatedClass()
		if class == sqli || class == xss || class == benignClass && s.Set == browsing {
			return class
		}
		return ""
	})
	reports := reportsOf(counts, []string{benignClass, sqli, xss})
	return append(reports, macroAverage(reports), weightedAverage(reports))
}

// evaluatedClass is the class that a row's label says, empty for the rows that stay out of class tables.
func (s *Sample) evaluatedClass() string {
	switch {
	case !s.Counted() || s.Refused:
		return ""
	case s.Label == traffic.Attack:
		return evidence.ClassOf(s.Class).String()
	}
	return benignClass
}

// countClasses counts the rows to which is gives a class.
func countClasses(samples []Sample, answers []answer, is func(*Sample) string) map[string]classCount {
	counts := map[string]classCount{}
	add := func(class string, n classCount) {
		c := counts[class]
		counts[class] = classCount{c.is + n.is, c.said + n.said, c.both + n.both}
	}
	for i := range samples {
		is, said := is(&samples[i]), benignClass
		if is == "" {
			continue
		}
		if answers[i].flags() {
			said = answers[i].class.String()
		}
		add(is, classCount{is: 1})
		add(said, classCount{said: 1})
		if is == said {
			add(is, classCount{both: 1})
		}
	}
	return counts
}

func reportsOf(counts map[string]classCount, classes []string) (reports []ClassReport) {
	for _, class := range classes {
		reports = append(reports, newClassReport(class, counts[class]))
	}
	return reports
}

func macroAverage(classes []ClassReport) ClassReport {
	return average(MacroAverage, classes, func(*ClassReport) float64 { return 1 })
}

func weightedAverage(classes []ClassReport) ClassReport {
	return average(WeightedAverage, classes, func(c *ClassReport) float64 { return float64(c.Requests) })
}

func average(name string, classes []ClassReport, weight func(*ClassReport) float64) ClassReport {
	sum, total := ClassReport{Class: name}, 0.0
	for i := range classes {
		c := &classes[i]
		w := weight(c)
		total += w
		sum.Requests += c.Requests
		sum.Precision += w * c.Precision
		sum.Recall += w * c.Recall
		sum.F1 += w * c.F1
	}
	sum.Precision, sum.Recall, sum.F1 = rounded(sum.Precision/total), rounded(sum.Recall/total), rounded(sum.F1/total)
	return sum
}

func newClassReport(name string, n classCount) ClassReport {
	return ClassReport{name, n.is, rounded(share(n.both, n.said)), rounded(share(n.both, n.is)), rounded(share(2*n.both, n.is+n.said))}
}

// share is n of total, 0 of nothing.
func share(n, total int) float64 {
	if total == 0 {
		return 0
	}
	return float64(n) / float64(total)
}
