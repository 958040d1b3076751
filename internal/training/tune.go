// SPDX-License-Identifier: Apache-2.0

package training

import (
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/request"
)

// Operating is how a model stands at one paranoia level at its operating point.
type Operating struct {
	Paranoia  int     `json:"paranoia_level"`
	Threshold int     `json:"threshold"`        // highest score whose false-positive rate is at most the wanted one; 0 = none
	Detect    int     `json:"detect_threshold"` // highest score that denies at most DetectRate of what CRS passes; 0 = none
	Benign    int     `json:"benign"`           // benign requests
	CRSRate   float64 `json:"crs_fpr"`          // share of them that CRS alone denies
	Rate      float64 `json:"fpr"`              // share that CRS and the model deny at Threshold
	Attacks   int     `json:"attacks_crs"`      // attacks that CRS denies
	Kept      int     `json:"attacks_kept"`     // of these, denied at Threshold
}

// rounding is added to products that may lie a little below the whole number that they stand for.
const rounding = 1e-9

// DetectRate is the share of the benign requests that CRS passes which mode detect may deny.
const DetectRate = 0.001

// OperatingPoints finds, for each paranoia level, the highest threshold that denies at most the share rate (0..1) of benign
// requests. Views are taken at paranoia level 4.
func OperatingPoints(m *model.Model, benign, attacks []request.View, rate float64) ([]Operating, error) {
	var points []Operating
	for pl := 1; pl <= request.ParanoiaLevels; pl++ {
		flagged, passed, err := scores(m, benign, pl)
		if err != nil {
			return nil, err
		}
		attacked, _, err := scores(m, attacks, pl)
		if err != nil {
			return nil, err
		}
		p := Operating{Paranoia: pl, Benign: len(benign)}
		total := float64(max(len(benign), 1))
		p.CRSRate = float64(flagged.upTo(model.MaxScore)) / total
		p.Threshold = flagged.highest(int(rate*total + rounding))
		p.Rate = float64(flagged.upTo(p.Threshold)) / total
		if n := passed.upTo(model.MaxScore); n > 0 { // else nothing tells what normal requests score
			p.Detect = passed.highest(int(DetectRate*float64(n) + rounding))
		}
		p.Attacks, p.Kept = attacked.upTo(model.MaxScore), attacked.upTo(p.Threshold)
		points = append(points, p)
	}
	return points, nil
}

// histogram counts requests by score.
type histogram [model.MaxScore + 1]int

// upTo counts the requests that score s or lower.
func (h *histogram) upTo(s int) int {
	n := 0
	for _, k := range h[:s+1] {
		n += k
	}
	return n
}

// highest is the highest score that at most n requests reach or stay below; 0 if none.
func (h *histogram) highest(n int) int {
	s := 0
	for s < model.MaxScore && h.upTo(s+1) <= n {
		s++
	}
	return s
}

// scores judges views at a paranoia level, those that CRS denies apart from those that it passes.
func scores(m *model.Model, views []request.View, pl int) (flagged, passed histogram, err error) {
	var d model.Verdict
	for i := range views {
		v := views[i].AtParanoia(pl)
		if err := m.Judge(&v, &d); err != nil {
			return flagged, passed, err
		}
		if v.Denied() {
			flagged[d.Score]++
		} else {
			passed[d.Score]++
		}
	}
	return flagged, passed, nil
}
