// SPDX-License-Identifier: Apache-2.0

package training

import (
	_ "embed"
	"strings"
	"text/template"

	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/request"
)

//go:embed card.md.tmpl
var cardText string

var cardTemplate = template.Must(template.New("card").Parse(cardText))

// Card writes the model card (Mitchell et al., Model Cards for Model Reporting, 2019): what the model is, what it was
// trained and calibrated on, and what is known of its limits. It is deterministic.
func Card(m *model.Model, c *Corpus) []byte {
	sources := map[string]int{}
	for i := range c.Normal {
		sources[c.Normal[i].Set]++
	}
	attacks := map[string]int{}
	for _, a := range c.Attacks {
		attacks[a.Class.String()]++
	}
	type level struct {
		Paranoia, Flagged int
		Threshold         float64
	}
	var levels []level
	for pl := 1; pl <= request.ParanoiaLevels; pl++ {
		l := level{Paranoia: pl, Threshold: m.Parts().Calibration[pl-1][50-1], Flagged: c.Flagged(pl)}
		levels = append(levels, l)
	}
	var b strings.Builder
	err := cardTemplate.Execute(&b, map[string]any{
		"ID": m.ID(), "Bytes": len(m.Bytes()), "Parts": m.Parts(),
		"Sources": sources, "Attacks": attacks, "Levels": levels,
	})
	if err != nil {
		panic(err) // the template and its data are both in this file
	}
	return []byte(b.String())
}
