// SPDX-License-Identifier: Apache-2.0

package features

import (
	"slices"

	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/request"
)

// Trace is what an extraction of the schema [Verdict] looked at, piece by piece; of other schemas it is empty.
type Trace struct {
	Values []ValueTrace // in the view's order; what is not in it was not read
	Rules  []RuleTrace
}

// ValueTrace is what the text of one value says.
type ValueTrace struct {
	Value    int     // index into the view's values
	Flagged  bool    // by a rule of CRS that counts
	Evidence float64 // payload evidence, nats, ≥ 0
	Worth    float64 // what of it counts, nats: less where a site's baseline knows the like in this parameter
	Surprise float64 // the largest of a payload rule on this value, nats, ≥ 0
	Decoded  string  // the text as it was read
	Lo, Hi   int     // the most suspicious stretch, in bytes of Decoded
}

// RuleTrace is what the match of one payload rule on one value is worth, both in nats.
type RuleTrace struct {
	Rule     int
	Value    int // index into the view's values; -1 where the rule names none
	Surprise float64
	Novelty  float64
}

// Trace is Extract, and tells what it looked at on the way.
func (x *Extractor) Trace(s *Scratch, v *request.View) Trace {
	var t Trace
	s.trace = &t
	defer func() { s.trace = nil }()
	x.Extract(s, v)
	return t
}

// read notes a value that was read; t may be nil.
func (t *Trace) read(i int, s *Scratch, text evidence.Text) {
	if t != nil {
		t.Values = append(t.Values, ValueTrace{
			Value: i, Flagged: s.flagged[i], Evidence: text.Evidence, Decoded: string(s.scanner.Decoded()), Lo: text.Lo, Hi: text.Hi,
		})
	}
}

// weigh notes what a value that was read is worth; t may be nil.
func (t *Trace) weigh(i int, worth, surprise float64) {
	if t == nil {
		return
	}
	if j, ok := slices.BinarySearchFunc(t.Values, i, func(v ValueTrace, i int) int { return v.Value - i }); ok {
		t.Values[j].Worth, t.Values[j].Surprise = worth, surprise
	}
}

// rule notes a match that was weighed; t may be nil.
func (t *Trace) rule(rule, value int, surprise, novelty float64) {
	if t != nil {
		t.Rules = append(t.Rules, RuleTrace{rule, value, surprise, novelty})
	}
}
