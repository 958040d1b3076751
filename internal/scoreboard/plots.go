// SPDX-License-Identifier: Apache-2.0

package scoreboard

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/mlverdict/mlverdict/internal/figure"
	"github.com/mlverdict/mlverdict/model"
)

// dashes tell the lines apart without colour.
var dashes = [][]vg.Length{nil, {6, 3}, {2, 2}, {8, 2, 2, 2}, {4, 4}, {1, 3}, {10, 4}}

// PlotCurves draws the ROC of every contender at a paranoia level as SVG. The false positives run over a logarithmic
// axis: a product lives in its left third.
func (r *Result) PlotCurves(level int) ([]byte, error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("Behind CRS at paranoia level %d", level)
	p.X.Label.Text = "CRS's false positives still denied (test half)"
	p.Y.Label.Text = "CRS's true positives kept"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, percentTicks{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1}
	p.Y.Tick.Marker = percentTicks{0, 0.2, 0.4, 0.6, 0.8, 1}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0.001, 1, 0, 1
	p.Add(plotter.NewGrid())
	p.Legend.Padding, p.Legend.ThumbnailWidth = vg.Points(2), vg.Points(28) // long enough for the dashes to show
	i := 0
	for _, c := range r.Curves {
		if c.Level != level || len(c.Points) == 0 {
			continue
		}
		line, err := plotter.NewLine(visible(c.Points))
		if err != nil {
			return nil, fmt.Errorf("scoreboard: plot: %w", err)
		}
		line.Color, line.Dashes = figure.Palette[i%len(figure.Palette)], dashes[i%len(dashes)]
		line.Width = 1.6
		p.Add(line)
		p.Legend.Add(c.Contender+figure.Slack, line)
		i++
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0.001, 1, 0, 1
	return figure.SVG(p)
}

// visible moves what lies left of the axis onto its beginning.
func visible(points [][2]float64) plotter.XYs {
	var line plotter.XYs
	for _, p := range points {
		if p[0] < 0.001 {
			line = plotter.XYs{{X: 0.001, Y: p[1]}}
			continue
		}
		line = append(line, plotter.XY{X: p[0], Y: p[1]})
	}
	return line
}

// PlotScores draws the score histograms of benign and attack requests that CRS flags at a paranoia level as SVG.
func (r *Result) PlotScores(level int) ([]byte, error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("Scores of what CRS flags at paranoia level %d", level)
	p.X.Label.Text = "score (low = attack); denied up to 50"
	p.Y.Label.Text = "share of requests"
	p.Y.Tick.Marker = percentTicks{0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1}
	p.Legend.Top = true
	top := 0.0
	for i, counts := range [][model.MaxScore]int{r.Histograms[level-1].Attack, r.Histograms[level-1].Benign} {
		bars := decades(counts)
		for _, share := range bars {
			top = max(top, share)
		}
		chart, err := plotter.NewBarChart(bars, vg.Points(14))
		if err != nil {
			return nil, fmt.Errorf("scoreboard: plot: %w", err)
		}
		chart.Color = figure.Palette[1-i]
		chart.Offset = vg.Points(float64(15*i) - 7.5)
		p.Add(chart)
		p.Legend.Add([]string{"attack", "benign"}[i]+figure.Slack, chart)
	}
	p.Y.Max = min(1, top*1.15)
	p.NominalX("1–10", "11–20", "21–30", "31–40", "41–50", "51–60", "61–70", "71–80", "81–90", "91–99")
	return figure.SVG(p)
}

// decades sums a histogram up in steps of ten scores, as shares.
func decades(counts [model.MaxScore]int) plotter.Values {
	bars := make(plotter.Values, 10)
	total := 0
	for _, n := range counts {
		total += n
	}
	for i, n := range counts {
		bars[i/10] += share(n, total)
	}
	return bars
}

// percentTicks are marks at these shares, labelled in percent.
type percentTicks []float64

func (p percentTicks) Ticks(low, high float64) (ticks []plot.Tick) {
	for _, share := range p {
		if share >= low-1e-9 && share <= high+1e-9 {
			ticks = append(ticks, plot.Tick{Value: share, Label: fmt.Sprintf("%g %%", math.Round(share*1e4)/1e2)})
		}
	}
	return ticks
}
