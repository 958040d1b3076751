// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/scoreboard"
)

// example is a small scoreboard.
func example() (*scoreboard.Result, *scoreboard.Mistakes) {
	cells := []scoreboard.Cell{{Denied: 5}, {Denied: 10}, {Denied: 5}, {Denied: 1}, {Denied: 1}}
	r := &scoreboard.Result{Format: scoreboard.Format, Model: scoreboard.Model{ID: "0123456789ab"},
		Notes:      []string{"csic2010 is not there."},
		Contenders: []scoreboard.Described{{Name: "mlverdict", Doc: "ours"}, {Name: "thesis", Doc: "theirs"}}}
	m := &scoreboard.Mistakes{Model: r.Model.ID}
	for level := 1; level <= scoreboard.Levels; level++ {
		for _, row := range []scoreboard.Row{{Set: "benign-browsing-dev", Label: "benign"}, {Set: "attack-mgm", Label: "attack"}} {
			row.Level, row.Requests, row.CRS = level, 200, 100
			row.Contenders = map[string][]scoreboard.Cell{"mlverdict": cells, "thesis": cells}
			r.Rows = append(r.Rows, row)
			r.Site = append(r.Site, row)
		}
		for _, c := range r.Contenders {
			r.Curves = append(r.Curves, scoreboard.Curve{Level: level, Contender: c.Name, Points: [][2]float64{{0, 0}, {0.01, 0.5}, {1, 1}}})
		}
		r.Histograms[level-1].Benign[80], r.Histograms[level-1].Attack[10] = 90, 90
		r.Rules[level-1] = []scoreboard.VetoedRule{{Rule: 942100, Denied: 7, Vetoed: 5}}
		m.Denied[level-1] = []scoreboard.Mistake{{Set: "benign-browsing-dev", Request: "GET /<script>alert(1)</script>", Score: 3,
			Values: []scoreboard.Quoted{{Place: "query", Name: "q", Text: `"><img src=x onerror=alert(1)>`}}, Rules: []int{941100}}}
	}
	return r, m
}

func TestWrite(t *testing.T) {
	r, m := example()
	var b bytes.Buffer
	require.NoError(t, Write(&b, r, m))
	html := b.String()
	for _, text := range []string{"0123456789ab", "csic2010 is not there.", "95.0 %", "942100", "Paranoia level 4", "thesis"} {
		assert.Contains(t, html, text)
	}
	assert.NotContains(t, html, "<script", "no script, neither ours nor a request's")
	assert.NotContains(t, html, "<img")
	external := regexp.MustCompile(`(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//[^"')]+`)
	assert.Empty(t, external.FindAllString(html, -1), "no external resource")

	b.Reset()
	require.NoError(t, Write(&b, r, nil))
	assert.NotContains(t, b.String(), "Worst false positives")

	m.Model = "another"
	assert.ErrorContains(t, Write(&b, r, m), "report: the mistakes are those of model another")
}
