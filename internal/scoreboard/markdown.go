// SPDX-License-Identifier: Apache-2.0

package scoreboard

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"github.com/mlverdict/mlverdict/internal/traffic"
)

//go:embed results.md.tmpl
var markdownText string

var markdown = template.Must(template.New("results").Funcs(template.FuncMap{
	"levels":  func() []int { return []int{1, 2, 3, 4} },
	"cuts":    func() []int { return []int{Cleared90, Cleared95, Cleared99, Cleared995} },
	"point":   PointName,
	"dec":     func(n int) int { return n - 1 },
	"top":     func(n int, rules []VetoedRule) []VetoedRule { return rules[:min(n, len(rules))] },
	"classes": func(level int, reports []ClassReport) classTable { return classTable{level, reports} },
	"share":   func(n, total int) string { return Percent(n, total) },
}).Parse(markdownText))

// classTable is a table of classes at a paranoia level.
type classTable struct {
	Level   int
	Reports []ClassReport
}

// Markdown writes the tables. plots is the folder, relative to the page, that holds the plots; empty leaves them out.
func (r *Result) Markdown(plots string) (string, error) {
	var b strings.Builder
	err := markdown.Execute(&b, struct {
		*Result
		Plots string
	}{r, plots})
	if err != nil {
		return "", fmt.Errorf("scoreboard: %w", err)
	}
	return b.String(), nil
}

// PointName names an operating point for people.
func PointName(point int) string {
	if point == Tuned {
		return "tuned threshold"
	}
	return Points[point] + " % cleared in tuning"
}

// Percent is n of total with one decimal; "–" of nothing.
func Percent(n, total int) string {
	if total == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(total))
}

// At lists the rows of a paranoia level.
func (r *Result) At(level int) []Row { return atLevel(r.Rows, level) }

// SiteAt lists the rows of a paranoia level in the site-trained regime.
func (r *Result) SiteAt(level int) []Row { return atLevel(r.Site, level) }

func atLevel(rows []Row, level int) (list []Row) {
	for _, row := range rows {
		if row.Level == level {
			list = append(list, row)
		}
	}
	return list
}

// Whole lists the rows of a level that count a whole set and are no side comparison, normal requests first.
func (r *Result) Whole(level int) []Row {
	return slices.DeleteFunc(r.At(level), func(row Row) bool { return row.Class != "" || row.Part != "" || row.Set == csic })
}

// Column heads a row's column in a table that lists the contenders.
func (r *Row) Column() string {
	if r.Benign() {
		return r.Set + " cleared"
	}
	return r.Set + " kept"
}

// Benign reports whether the row counts normal requests.
func (r *Row) Benign() bool { return r.Label == traffic.Benign }

// Name is the row's class or part, "all" for the whole set.
func (r *Row) Name() string {
	switch {
	case r.Class != "":
		return r.Class
	case r.Part != "":
		return "*" + r.Part + "*"
	}
	return "**all**"
}

// Result writes what a contender does to the row's requests at an operating point: the share of CRS's false positives
// that it clears or of its true positives that it keeps, with the 95 % interval; "–" where CRS denies none.
func (r *Row) Result(contender string, point int) string {
	cells := r.Contenders[contender]
	if len(cells) == 0 || r.CRS == 0 {
		return "–"
	}
	c := cells[point]
	n, low, high := c.Denied, c.Interval[0], c.Interval[1]
	if r.Benign() {
		n, low, high = r.CRS-n, 1-high, 1-low
	}
	return fmt.Sprintf("%s (%.1f–%.1f)", Percent(n, r.CRS), 100*low, 100*high)
}

// Payload writes the same for those of the row's requests that a payload rule matched.
func (r *Row) Payload(contender string, point int) string {
	cells := r.Contenders[contender]
	if len(cells) == 0 {
		return "–"
	}
	n, total := cells[point].Denied-cells[point].Protocol, r.CRS-r.Protocol
	if r.Benign() {
		n = total - n
	}
	return Percent(n, total)
}
