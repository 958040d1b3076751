// SPDX-License-Identifier: Apache-2.0

// Package report writes a scoreboard as one HTML page that needs nothing else: no script, no font, no network.
package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"

	"github.com/mlverdict/mlverdict/internal/figure"
	"github.com/mlverdict/mlverdict/internal/scoreboard"
)

//go:embed report.html.tmpl
var pageText string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"share": scoreboard.Percent,
	"point": scoreboard.PointName,
	"points": func() []int {
		return []int{scoreboard.Cleared90, scoreboard.Cleared95, scoreboard.Cleared99, scoreboard.Cleared995}
	},
	"tuned": func() int { return scoreboard.Tuned },
	"top":   func(n int, rules []scoreboard.VetoedRule) []scoreboard.VetoedRule { return rules[:min(n, len(rules))] },
}).Parse(pageText))

// level is what the page says of a paranoia level.
type level struct {
	Number        int
	Curves, Bars  template.HTML
	Rows, Classes []scoreboard.Row // the rows of whole sets, and all of them
	Site          []scoreboard.Row
	Rules         []scoreboard.VetoedRule
	Reports       []scoreboard.ClassReport
	Denied        []scoreboard.Mistake
	Passed        []scoreboard.Mistake
	Counts        scoreboard.MistakesCounts
}

// Write writes the page. mistakes may be nil; with them the page quotes requests and should not leave the house.
func Write(w io.Writer, r *scoreboard.Result, mistakes *scoreboard.Mistakes) error {
	if mistakes != nil && mistakes.Model != r.Model.ID {
		return fmt.Errorf("report: the mistakes are those of model %s, the scoreboard is of model %s: write both in one run",
			mistakes.Model, r.Model.ID)
	}
	var levels []level
	for n := 1; n <= scoreboard.Levels; n++ {
		l := level{Number: n, Rows: r.Whole(n), Classes: r.At(n), Site: r.SiteAt(n), Rules: r.Rules[n-1], Reports: r.Classes[n-1]}
		var err error
		if l.Curves, err = figure.Inline(r.PlotCurves(n)); err != nil {
			return err
		}
		if l.Bars, err = figure.Inline(r.PlotScores(n)); err != nil {
			return err
		}
		if mistakes != nil {
			l.Denied, l.Passed, l.Counts = mistakes.Denied[n-1], mistakes.Passed[n-1], mistakes.Counts[n-1]
		}
		levels = append(levels, l)
	}
	err := page.Execute(w, map[string]any{"Result": r, "Levels": levels, "Mistakes": mistakes != nil})
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
