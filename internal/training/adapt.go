// SPDX-License-Identifier: Apache-2.0

package training

import (
	"crypto/sha256"
	"errors"

	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/features"
	"github.com/mlverdict/mlverdict/model/request"
)

// Adapt makes a site's model of a base model and of the site's own traffic, which is mostly normal and needs no labels.
// What the site's traffic trips over loses its weight as evidence, most of all in the parameters where it does so, and
// what it never shows gains weight; the forest, which judges evidence, stays; the calibration moves to what CRS flags of
// the traffic. The same arguments give the same bytes.
//
// Attacks among the traffic must not pass for the site's habits: see [habits].
func Adapt(base *model.Model, s *Summary) (*model.Model, error) {
	parts := base.Parts()
	if s.Len() == 0 {
		return nil, errors.New("training: no normal requests to adapt to (rows without a label, or with the label benign)")
	}
	var halves [2]*habits
	for i := range halves {
		halves[i] = newHabits()
	}
	doubted := s.doubted(&parts)
	for digest, t := range s.requests {
		halves[half(digest)].add(&t, doubted[digest])
	}
	s.recalibrate(&parts, halves, doubted)
	halves[0].merge(halves[1])
	halves[0].teach(&parts)
	parts.Data.Digest, parts.Data.Base, parts.Data.Site = digestOf(s.Manifest()), base.ID(), s.Len()
	return model.New(parts)
}

// half parts a site's requests in two by their digest.
func half(digest [sha256.Size]byte) int { return int(digest[0] & 1) }

// habits are what a site's traffic shows. What looks like an attack to the base model is counted apart: it counts only as
// far as it is more than the share of the traffic that may well be attacks.
type habits struct {
	trusted, doubted struct {
		rules  *evidence.RuleCounts
		params *evidence.ParamCounts
	}
}

func newHabits() *habits {
	h := &habits{}
	h.trusted.rules, h.trusted.params = evidence.NewRuleCounts(), evidence.NewParamCounts()
	h.doubted.rules, h.doubted.params = evidence.NewRuleCounts(), evidence.NewParamCounts()
	return h
}

func (h *habits) add(t *trace, doubted bool) {
	counts := &h.trusted
	if doubted {
		counts = &h.doubted
	}
	counts.rules.Add(&t.view, stretches(t.values), "")
	for p, shown := range t.shown() {
		counts.params.Add(p, shown)
	}
}

func (h *habits) merge(other *habits) {
	h.trusted.rules.Merge(other.trusted.rules)
	h.trusted.params.Merge(other.trusted.params)
	h.doubted.rules.Merge(other.doubted.rules)
	h.doubted.params.Merge(other.doubted.params)
}

// teach puts the habits into a model's parts.
func (h *habits) teach(parts *model.Parts) {
	parts.Rules = parts.Rules.Adapt(h.trusted.rules, h.doubted.rules)
	parts.Baseline = evidence.CompileBaseline(h.trusted.params, h.doubted.params, h.trusted.rules.Requests+h.doubted.rules.Requests)
}

// doubted finds the requests that look like attacks to a model of these parts.
func (s *Summary) doubted(parts *model.Parts) map[[sha256.Size]byte]bool {
	x, found := parts.Extractor(), map[[sha256.Size]byte]bool{}
	for digest, t := range s.requests {
		if t.view.Denied() && parts.Calibration[request.ParanoiaLevels-1].Score(s.anomaly(x, parts, &t, &t.view)) <= model.Doubtful {
			found[digest] = true
		}
	}
	return found
}

// recalibrate adapts the calibration of each paranoia level to the requests that CRS flags at it. Each half is measured
// with the habits of the other, since later traffic has not taught the model either.
func (s *Summary) recalibrate(parts *model.Parts, halves [2]*habits, doubted map[[sha256.Size]byte]bool) {
	var measures [2]*features.Extractor
	for i := range measures {
		other := *parts
		halves[1-i].teach(&other)
		measures[i] = other.Extractor()
	}
	var anomalies [request.ParanoiaLevels][]float64
	for digest, t := range s.requests {
		if doubted[digest] {
			continue
		}
		for level := range anomalies {
			if v := t.view.AtParanoia(level + 1); v.Denied() {
				anomalies[level] = append(anomalies[level], s.anomaly(measures[half(digest)], parts, &t, &v))
			}
		}
	}
	for level := range anomalies {
		parts.Calibration[level] = parts.Calibration[level].Adapt(anomalies[level])
	}
}

func (s *Summary) anomaly(x *features.Extractor, parts *model.Parts, t *trace, v *request.View) float64 {
	x.ExtractMeasured(&s.scratch, v, t.values)
	return parts.Forest.Anomaly(s.scratch.Vector)
}
