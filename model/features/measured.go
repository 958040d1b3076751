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
	Stretch  int     // length of the stretch of text with that evidence, bytes; 0 where there is none
}

// Measure appends what the view's values hold, as [Extractor.ExtractMeasured] takes it.
func (x *Extractor) Measure(s *Scratch, dst []Measured, v *request.View) []Measured {
	return x.measure(s, dst, v, true)
}

// measure is Measure; params tells whether anybody asks which parameter a value belongs to.
func (x *Extractor) measure(s *Scratch, dst []Measured, v *request.View, params bool) []Measured {
	s.mark(v)
	for i := range v.Values {
		value := &v.Values[i]
		var m Measured
		if params {
			m.Param = evidence.ParamOf(value.Place, value.Name)
		}
		if value.Place != request.Header || s.flagged[i] {
			t := x.Chains.Scan(&s.scanner, value.Text)
			if t.Evidence > 0 {
				m.Evidence, m.Stretch = t.Evidence, t.Hi-t.Lo
			}
			s.trace.read(i, s, t)
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
			for j := range m.Values(len(v.Values)) {
				s.flagged[j] = true
			}
		}
	}
}
