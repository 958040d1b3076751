// SPDX-License-Identifier: Apache-2.0

// Package figure writes plots as SVG, for files and for pages.
package figure

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Palette is M. Okabe's and K. Ito's (2008), which people with any colour vision can tell apart.
var Palette = []color.Color{
	color.RGBA{0x00, 0x72, 0xB2, 0xFF}, color.RGBA{0xD5, 0x5E, 0x00, 0xFF}, color.RGBA{0x00, 0x9E, 0x73, 0xFF},
	color.RGBA{0xCC, 0x79, 0xA7, 0xFF}, color.RGBA{0xE6, 0x9F, 0x00, 0xFF}, color.RGBA{0x56, 0xB4, 0xE9, 0xFF},
	color.RGBA{0x00, 0x00, 0x00, 0xFF},
}

// Slack keeps a legend's text off its line where the reader's font is wider than the one that it was laid out with.
const Slack = "      "

func init() { plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"} }

const width, height = 16 * vg.Centimeter, 10 * vg.Centimeter

// SVG draws a plot.
func SVG(p *plot.Plot) ([]byte, error) {
	canvas := vgsvg.New(width, height)
	p.Draw(draw.Crop(draw.New(canvas), vg.Points(4), vg.Points(-16), vg.Points(4), vg.Points(-4)))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("figure: %w", err)
	}
	return bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif")), nil
}

// Inline makes a plot part of a page: an SVG element without the prologue of a file. The plot must be drawn from
// numbers and texts of our own.
func Inline(svg []byte, err error) (template.HTML, error) {
	if at := bytes.Index(svg, []byte("<svg")); at > 0 {
		svg = svg[at:]
	}
	return template.HTML(svg), err
}
