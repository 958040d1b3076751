// SPDX-License-Identifier: Apache-2.0

package training

import (
	"errors"

	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/request"
)

// Adapt makes a site's model of a base model and of the site's own traffic, which is mostly
// normal and needs no labels. What the site's traffic trips over loses its weight as evidence; the forest, which judges
// evidence, stays; the calibration moves to what CRS flags of the traffic. The same arguments give the same bytes.
func Adapt(base *model.Model, s *Summary) (*model.Model, error) {
	parts := base.Parts()
	if s.Len() == 0 {
		return nil, errors.New("training: no normal requests to adapt to (rows without a label, or with the label benign)")
	}
	counts, params := evidence.NewRuleCounts(), evidence.NewParamCounts()
	for _, digest := range s.digests() {
		t := s.requests[digest]
		counts.Add(&t.view, stretches(t.values), "")
		for p, shown := range t.shown() {
			params.Add(p, shown)
		}
	}
	parts.Rules, parts.Baseline = parts.Rules.Adapt(counts), evidence.CompileBaseline(params)
	recalibrate(&parts, s)
	parts.Data.Digest, parts.Data.Base, parts.Data.Site = digestOf(s.Manifest()), base.ID(), s.Len()
	return model.New(parts)
}

// recalibrate adapts the calibration of each paranoia level to the requests that CRS flags at it.
func recalibrate(parts *model.Parts, s *Summary) {
	x := extractor(parts)
	for pl := 1; pl <= request.ParanoiaLevels; pl++ {
		var anomalies []float64
		for _, t := range s.requests {
			if v := t.view.AtParanoia(pl); v.Denied() {
				x.ExtractMeasured(&s.scratch, &v, t.values)
				anomalies = append(anomalies, parts.Forest.Anomaly(s.scratch.Vector))
			}
		}
		parts.Calibration[pl-1] = parts.Calibration[pl-1].Adapt(anomalies)
	}
}
