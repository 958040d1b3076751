// SPDX-License-Identifier: Apache-2.0

package features

import (
	"math"

	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/request"
)

// Verdict is the schema of the product's own models: few, strong features from two witnesses, the payload's text and
// CRS's matches. All but the length rise with the evidence of an attack.
//
// A header's text counts only where CRS flagged the header: what clients send in headers by themselves differs more
// between clients than between attack and normal traffic.
var Verdict = &Schema{
	Name: "verdict/6",
	Features: []Feature{
		{"joint", "largest sum, over the values, of payload evidence and the largest surprise of a rule that looks for attacks (CRS files 913, 921, 922, 930–944) on a stretch of text of that length, nats"},
		{"agreement", "largest, over the values, of the lesser of the two: how much both witnesses say, nats"},
		{"rule_novelty", "largest novelty of a rule that looks for attacks: how few sites have it match a value of that length on normal traffic, nats"},
		{"corroboration", "largest, over the values, of the second largest surprise of such rules on one value: how much another rule says, nats"},
		{"breadth", "number of such rules on the value with the largest sum, each as far as it surprises and at most 1, ln(1 + number)"},
		{"length", "length of the value with the largest sum, ln(1 + bytes), at most that of MaxLength; 0 where there is no evidence"},
	},
}

// MaxLength is the length of a value, in bytes, from which on all lengths mean the same.
const MaxLength = 1 << 11

func init() { Verdict.extract = extractVerdict }

func extractVerdict(x *Extractor, s *Scratch, v *request.View) {
	values := s.measured
	if values == nil {
		s.values = x.measure(s, s.values[:0], v, x.Baseline != nil)
		values = s.values
	}
	novelty := x.matches(s, v, values)
	var joint, agreement, corroboration, breadth, length, strongest float64
	for i, m := range values {
		text, rules := x.Baseline.Text(m.Param, m.Evidence), &s.rulesOn[i]
		s.trace.weigh(i, text, rules.first)
		agreement = max(agreement, min(text, rules.first))
		corroboration = max(corroboration, rules.second)
		sum := text + rules.first
		if sum > joint {
			joint, breadth, length = sum, math.Log1p(rules.number), math.Log1p(float64(min(len(v.Values[i].Text), MaxLength)))
		}
		if text > 0 && sum > strongest {
			strongest, s.Found.Value = sum, i
		}
	}
	s.quote(x.Chains, v)
	for i, feature := range [...]float64{joint, agreement, novelty, corroboration, breadth, length} {
		s.Vector[i] = float32(feature)
	}
}

// said is what the payload rules that matched a value say of it.
type said struct {
	first, second float64 // the largest surprises
	number        float64 // of the rules, each as far as it surprises and at most 1
}

func (r *said) add(surprise float64) {
	r.first, r.second = max(r.first, surprise), max(r.second, min(r.first, surprise))
	r.number += min(surprise, 1)
}

// matches puts into s.rulesOn what the payload rules that matched each value say of it and into s.votes what they say of the class,
// notes the rule that surprises most, and returns the largest novelty of a payload rule.
func (x *Extractor) matches(s *Scratch, v *request.View, values []Measured) (novelty float64) {
	s.rulesOn = append(s.rulesOn[:0], make([]said, len(v.Values))...)
	s.votes = evidence.Votes{}
	var strongest weighed
	for i := range v.Matches {
		m := &v.Matches[i]
		if !v.Counts(m) || !m.Payload() {
			continue
		}
		s.Found.Rules++
		w := x.match(s, v, values, m)
		s.votes.Add(m.Rule, w.surprise)
		novelty = max(novelty, w.novelty)
		if s.Found.Rule == 0 || w.surprise > strongest.surprise {
			s.Found.Rule, strongest = m.Rule, w
		}
	}
	if s.Found.Rule != 0 {
		s.Found.Rate = x.Rules.Rate(s.Found.Rule, strongest.on)
	}
	return novelty
}

// weighed is what a match is worth, over the values that it names.
type weighed struct {
	surprise float64         // the largest
	on       evidence.Extent // what surprises so
	novelty  float64         // the largest
}

// match notes one match of a payload rule.
func (x *Extractor) match(s *Scratch, v *request.View, values []Measured, m *request.Match) weighed {
	w := weighed{on: evidence.Nowhere}
	if len(m.Spans) == 0 {
		w.surprise, w.novelty = x.Rules.Surprise(m.Rule, evidence.Nowhere), x.Rules.Novelty(m.Rule, evidence.Nowhere)
		s.trace.rule(m.Rule, -1, w.surprise, w.novelty)
	}
	for j := range m.Values(len(v.Values)) {
		length := len(v.Values[j].Text)
		on := evidence.OfText(values[j].Stretch, length)
		surprise := x.Rules.Surprise(m.Rule, on)
		new := x.Rules.Novelty(m.Rule, evidence.OfValue(length))
		surprise, new = x.Baseline.Match(values[j].Param, m.Rule, surprise, new)
		s.trace.rule(m.Rule, j, surprise, new)
		s.rulesOn[j].add(surprise)
		w.novelty = max(w.novelty, new)
		if w.on == evidence.Nowhere || surprise > w.surprise {
			w.surprise, w.on = surprise, on
		}
	}
	return w
}

// quote scans the strongest value again, if the view was read and there is one, keeps its stretch and tells what class of attack
// that and the rules that matched resemble.
func (s *Scratch) quote(c *evidence.Chains, v *request.View) {
	var t evidence.Text
	if s.Found.Value >= 0 && s.measured == nil {
		t = c.Scan(&s.scanner, v.Values[s.Found.Value].Text)
		s.Found.Evidence = t.Evidence
		s.Found.Stretch = t.Hi - t.Lo
		s.Found.QuoteLen = copy(s.Found.Quote[:], s.scanner.Decoded()[t.Lo:t.Hi])
	}
	s.Found.Posterior = c.Classify(&s.scanner, t, &s.votes)
}
