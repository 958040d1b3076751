// SPDX-License-Identifier: Apache-2.0

package explanation

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/mlverdict/mlverdict/internal/figure"
	"github.com/mlverdict/mlverdict/model"
)

//go:embed page.html.tmpl
var pageText string

var page = template.Must(template.New("explanation").Funcs(template.FuncMap{"percent": percent}).Parse(pageText))

// HTML writes the explanation as one page that needs nothing else: no script, no font, no network.
func (e *Explanation) HTML(w io.Writer) error {
	data := struct {
		*Explanation
		Curve template.HTML
	}{Explanation: e}
	if e.Model != nil {
		var err error
		if data.Curve, err = figure.Inline(e.Model.plot()); err != nil {
			return err
		}
	}
	if err := page.Execute(w, data); err != nil {
		return fmt.Errorf("explanation: %w", err)
	}
	return nil
}

// Bar is how long the bar of a feature is, in percent of the longest.
func (j *Judgement) Bar(f Feature) int {
	longest := 0.0
	for _, g := range j.Features {
		longest = max(longest, math.Abs(g.Adds))
	}
	if longest == 0 {
		return 0
	}
	return int(100 * math.Abs(f.Adds) / longest)
}

// plot draws the calibration, anomaly to score, with the request and the threshold on it.
func (j *Judgement) plot() ([]byte, error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("From anomaly to score at paranoia level %d", j.Paranoia)
	p.X.Label.Text, p.Y.Label.Text = "anomaly (the forest's answer)", "score (low = attack)"
	p.Add(plotter.NewGrid())
	curve := make(plotter.XYs, 0, model.MaxScore+2)
	curve = append(curve, plotter.XY{X: 0, Y: model.MaxScore})
	for s := model.MaxScore; s >= model.MinScore; s-- {
		curve = append(curve, plotter.XY{X: min(j.calibration[s-1], 1), Y: float64(s)})
	}
	curve = append(curve, plotter.XY{X: 1, Y: curve[len(curve)-1].Y})
	scale, err := plotter.NewLine(curve)
	if err != nil {
		return nil, fmt.Errorf("explanation: plot: %w", err)
	}
	limit, err := plotter.NewLine(plotter.XYs{{X: 0, Y: float64(j.threshold)}, {X: 1, Y: float64(j.threshold)}})
	if err != nil {
		return nil, fmt.Errorf("explanation: plot: %w", err)
	}
	here, err := plotter.NewScatter(plotter.XYs{{X: j.Anomaly, Y: float64(j.Score)}})
	if err != nil {
		return nil, fmt.Errorf("explanation: plot: %w", err)
	}
	scale.Color, scale.Width = figure.Palette[0], 1.6
	limit.Color, limit.Dashes = figure.Palette[6], []vg.Length{6, 3}
	here.GlyphStyle = draw.GlyphStyle{Color: figure.Palette[1], Radius: vg.Points(6), Shape: draw.CircleGlyph{}}
	p.Add(scale, limit, here)
	p.Legend.Top, p.Legend.Padding, p.Legend.ThumbnailWidth = true, vg.Points(2), vg.Points(28)
	p.Legend.Add("calibration"+figure.Slack, scale)
	p.Legend.Add(fmt.Sprintf("flagged up to %d", j.threshold)+figure.Slack, limit)
	p.Legend.Add(fmt.Sprintf("this request: %d", j.Score)+figure.Slack, here)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 100
	return figure.SVG(p)
}
