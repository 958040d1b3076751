// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"image/color"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

func init() { plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"} }

var blue = color.RGBA{0x00, 0x72, 0xB2, 0xFF}

// plots draws how the verdict's cost grows.
func plots(m *measurements, folder string) error {
	for _, p := range []struct{ file, title, x, prefix string }{
		{"cost-body", "Verdict on a body of text", "bytes", "Body/bytes="},
		{"cost-trees", "A row through a forest, ψ = 256", "trees", "Trees/trees="},
		{"cost-matches", "Verdict on a small request", "rules that matched", "Matches/matches="},
	} {
		svg, err := growth(m, p.title, p.x, p.prefix)
		if err != nil {
			return err
		}
		if err := renameio.WriteFile(filepath.Join(folder, p.file+".svg"), svg, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// growth plots the medians of the benchmarks whose names are the prefix and a number, on logarithmic axes: what is
// linear is a straight line at half a right angle.
func growth(m *measurements, title, x, prefix string) ([]byte, error) {
	var points plotter.XYs
	for name := range m.values {
		if text, ok := strings.CutPrefix(name, prefix); ok {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return nil, err
			}
			points = append(points, plotter.XY{X: n, Y: m.median(name, "ns/op") / 1e3})
		}
	}
	if len(points) == 0 {
		return nil, fmt.Errorf("no benchmark %s to plot", prefix)
	}
	return drawn(title, x, points)
}

func drawn(title, x string, points plotter.XYs) ([]byte, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, "µs"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(ticks), plot.TickerFunc(ticks)
	slices.SortFunc(points, func(a, b plotter.XY) int { return cmp.Compare(a.X, b.X) })
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return nil, err
	}
	line.Color, line.Width = blue, 1.6
	dots.Color, dots.Shape = blue, draw.CircleGlyph{}
	p.Add(plotter.NewGrid(), line, dots)
	canvas := vgsvg.New(12*vg.Centimeter, 8*vg.Centimeter)
	p.Draw(draw.New(canvas))
	var svg bytes.Buffer
	_, err = canvas.WriteTo(&svg)
	return svg.Bytes(), err
}

// ticks are those of a logarithmic axis, with thousands as k and millions as M.
func ticks(lo, hi float64) []plot.Tick {
	marks := plot.LogTicks{Prec: -1}.Ticks(lo, hi)
	for i, mark := range marks {
		switch {
		case mark.Label == "":
		case mark.Value >= 1e6:
			marks[i].Label = fmt.Sprintf("%g M", mark.Value/1e6)
		case mark.Value >= 1e3:
			marks[i].Label = fmt.Sprintf("%g k", mark.Value/1e3)
		}
	}
	return marks
}
