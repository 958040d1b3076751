// SPDX-License-Identifier: Apache-2.0

package features

import (
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/request"
)

// Measured is what an extraction needs to know of a value's name and text.
type Measured struct {
	Param    evidence.Param
	Evidence float64 // payload evidence, nats; 0 where an extraction does not ask for it
}

// Measure appends what the view's values hold, as [Extractor.ExtractMeasured] takes it.
func (x *Extractor) Measure(s *Scratch, dst []Measured, v *request.View) []Measured {
	s.mark(v)
	for i := range v.Values {
		value := &v.Values[i]
		m := Measured{Param: evidence.ParamOf(value.Place, value.Name)}
		if value.Place != request.Header || s.flagged[i] {
			m.Evidence = x.Chains.Scan(&s.scanner, value.Text).Evidence
		}
		dst = append(dst, m)
	}
	return dst
}

// ExtractMeasured is [Extractor.Extract] of a view whose values were measured before: of their names and texts it sees
// the texts' lengths. It quotes nothing.
func (x *Extractor) ExtractMeasured(s *Scratch, v *request.View, values []Measured) {
	s.measured = values
	x.Extract(s, v)
	s.measured = nil
}

// mark marks the values that a counting match names in s.flagged.
func (s *Scratch) mark(v *request.View) {
	s.flagged = append(s.flagged[:0], make([]bool, len(v.Values))...)
	for i := range v.Matches {
		if m := &v.Matches[i]; v.Counts(m) {
			for _, span := range m.Spans {
				for j := max(span.Lo, 0); j < span.Hi && int(j) < len(v.Values); j++ {
					s.flagged[j] = true
				}
			}
		}
	}
}

// param is the parameter that a value belongs to.
func (s *Scratch) param(v *request.View, i int) evidence.Param {
	if s.measured != nil {
		return s.measured[i].Param
	}
	return evidence.ParamOf(v.Values[i].Place, v.Values[i].Name)
}

// text is what the payload evidence of a value is worth.
func (x *Extractor) text(s *Scratch, v *request.View, i int) float64 {
	if s.measured != nil {
		return x.Baseline.Text(s.measured[i].Param, s.measured[i].Evidence)
	}
	found := x.Chains.Scan(&s.scanner, v.Values[i].Text)
	nats := found.Evidence
	if x.Baseline != nil {
		nats = x.Baseline.Text(s.param(v, i), nats)
	}
	s.trace.value(i, s, found, nats)
	return nats
}
