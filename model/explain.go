// SPDX-License-Identifier: Apache-2.0

package model

import (
	"github.com/mlverdict/mlverdict/model/features"
	"github.com/mlverdict/mlverdict/model/forest"
	"github.com/mlverdict/mlverdict/model/request"
)

// Explanation is a verdict with all that it rests on.
type Explanation struct {
	Verdict Verdict
	Trace   features.Trace     // what the extraction looked at
	Vector  []float32          // the features, in the units that the schema names
	Forest  forest.Explanation // what each feature adds to the forest's margin
	Margin  float64            // of which the anomaly is made, see [forest.Forest.Margin]
}

// Explain is Judge, and tells how it came to its verdict. It takes some hundred times as long and allocates.
func (m *Model) Explain(v *request.View) (*Explanation, error) {
	if v == nil {
		return nil, ErrNoView
	}
	var s features.Scratch
	e := &Explanation{Trace: m.extractor.Trace(&s, v)}
	m.decide(v, &s, &e.Verdict)
	e.Vector = s.Vector
	e.Forest, e.Margin = m.parts.Forest.Explain(s.Vector), m.parts.Forest.Margin(s.Vector)
	return e, nil
}
