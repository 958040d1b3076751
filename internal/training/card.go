// SPDX-License-Identifier: Apache-2.0

package training

import (
	_ "embed"
	"strings"
	"text/template"

	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/request"
)

//go:embed card.md.tmpl
var cardText string

var cardTemplate = template.Must(template.New("card").Parse(cardText))

// Card writes the model card (Mitchell et al., Model Cards for Model Reporting, 2019): what the model is, what it was
// trained and calibrated on, and what is known of its limits. It is deterministic.
func Card(m *model.Model, c *Corpus, p Params) []byte {
	sources := map[string]int{}
	for i := range c.Normal {
		sources[c.Normal[i].Row.Set]++
	}
	attacks := map[string]int{}
	for _, a := range c.Attacks {
		attacks[a.Class.String()]++
	}
	var levels []cardLevel
	for pl := 1; pl <= request.ParanoiaLevels; pl++ {
		levels = append(levels, cardLevel{pl, c.Flagged(pl), m.Parts().Calibration[pl-1][50-1]})
	}
	return execute(cardTemplate, map[string]any{
		"ID": m.ID(), "Bytes": len(m.Bytes()), "Parts": m.Parts(),
		"Sources": sources, "Attacks": attacks, "Augmented": p.Augment, "Levels": levels,
	})
}

//go:embed sitecard.md.tmpl
var siteCardText string

var siteCardTemplate = template.Must(template.New("sitecard").Parse(siteCardText))

// SiteCard writes the card of a model that [Adapt] made of a base model and a site's traffic.
func SiteCard(m, base *model.Model, s *Summary) []byte {
	var levels []cardLevel
	for pl := 1; pl <= request.ParanoiaLevels; pl++ {
		levels = append(levels, cardLevel{pl, s.flagged(pl), m.Parts().Calibration[pl-1][50-1]})
	}
	return execute(siteCardTemplate, map[string]any{
		"ID": m.ID(), "Base": base.ID(), "Bytes": len(m.Bytes()), "Parts": m.Parts(), "Requests": s.Len(),
		"Parameters": m.Parts().Baseline.Params(), "Carriers": evidence.Carriers, "Levels": levels,
	})
}

// cardLevel is a model's line on a paranoia level.
type cardLevel struct {
	Paranoia, Flagged int
	Threshold         float64
}

func execute(card *template.Template, data map[string]any) []byte {
	var b strings.Builder
	if err := card.Execute(&b, data); err != nil {
		panic(err) // the template and its data are both in this package
	}
	return []byte(b.String())
}
