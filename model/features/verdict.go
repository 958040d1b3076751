// SPDX-License-Identifier: Apache-2.0

package features

import (
	"math"

	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/request"
)

// Verdict is the schema of the product's own models: few, strong features from two witnesses, the payload's text and
// CRS's matches. Each rises with the evidence of an attack.
//
// A header's text counts only where CRS flagged the header: what clients send in headers by themselves differs more
// between clients than between attack and normal traffic.
var Verdict = &Schema{
	Name: "verdict/3",
	Features: []Feature{
		{"payload_flagged", "largest payload evidence of a value that CRS flagged, nats"},
		{"joint", "largest sum, over the values, of payload evidence and the largest surprise of a rule that looks for attacks (CRS files 913, 921, 922, 930–944) on a value of that length, nats"},
		{"rule_novelty", "largest novelty of a rule that looks for attacks: how few sites have it match a value of that length on normal traffic, nats"},
	},
}

func init() { Verdict.extract = extractVerdict }

func extractVerdict(x *Extractor, s *Scratch, v *request.View) {
	novelty := x.matches(s, v)
	var flagged, joint, strongest float64
	for i := range v.Values {
		if v.Values[i].Place == request.Header && !s.flagged[i] {
			continue
		}
		text := x.text(s, v, i)
		if s.flagged[i] {
			flagged = max(flagged, text)
		}
		sum := text + s.surprise[i]
		joint = max(joint, sum)
		if text > 0 && sum > strongest {
			strongest, s.Found.Value = sum, i
		}
	}
	if s.Found.Value >= 0 && s.measured == nil {
		s.quote(x.Chains, v.Values[s.Found.Value].Text)
	}
	x.classify(s, v)
	s.Vector[0], s.Vector[1], s.Vector[2] = float32(flagged), float32(joint), float32(novelty)
}

// matches marks the flagged values in s.flagged, puts into s.surprise for each value the largest surprise of a payload
// rule that matched it, notes the rarest rule, and returns the largest novelty of a payload rule.
func (x *Extractor) matches(s *Scratch, v *request.View) (novelty float64) {
	s.flagged = append(s.flagged[:0], make([]bool, len(v.Values))...)
	s.surprise = append(s.surprise[:0], make([]float64, len(v.Values))...)
	for i := range v.Matches {
		m := &v.Matches[i]
		if !v.Counts(m) {
			continue
		}
		novelty = max(novelty, x.match(s, v, m))
		if !m.Payload() {
			continue
		}
		s.Found.Rules++
		if rarity := x.Rules.Rarity(m.Rule); s.Found.Rule == 0 || rarity < s.Found.Rarity {
			s.Found.Rule, s.Found.Rarity = m.Rule, rarity
		}
	}
	return novelty
}

// match notes one match and returns its novelty, 0 unless it is a payload rule's.
func (x *Extractor) match(s *Scratch, v *request.View, m *request.Match) (novelty float64) {
	if m.Payload() && len(m.Spans) == 0 {
		_, novelty = x.Rules.Weigh(m.Rule, evidence.Nowhere)
		s.trace.rule(m.Rule, -1, 0, novelty)
	}
	for _, span := range m.Spans {
		for j := max(span.Lo, 0); j < span.Hi && int(j) < len(v.Values); j++ {
			s.flagged[j] = true
			if m.Payload() {
				surprise, new := x.Rules.Weigh(m.Rule, evidence.ExtentOf(len(v.Values[j].Text)))
				if x.Baseline != nil {
					surprise, new = x.Baseline.Match(s.param(v, int(j)), m.Rule, surprise, new)
				}
				s.trace.rule(m.Rule, int(j), surprise, new)
				s.surprise[j] = max(s.surprise[j], surprise)
				novelty = max(novelty, new)
			}
		}
	}
	return novelty
}

// quote scans the strongest value again and keeps its stretch and what class of attack that resembles.
func (s *Scratch) quote(c *evidence.Chains, text string) {
	t := c.Scan(&s.scanner, text)
	s.Found.Evidence = t.Evidence
	s.Found.Posterior = c.Classify(&s.scanner, t)
	s.Found.Stretch = t.Hi - t.Lo
	s.Found.QuoteLen = copy(s.Found.Quote[:], s.scanner.Decoded()[t.Lo:t.Hi])
}

// classify adds to what the text says of the attack's class what the matched rules say: each counting rule of a class's
// own file, up to three, speaks for it like a nat of evidence.
func (x *Extractor) classify(s *Scratch, v *request.View) {
	const most = 3
	var rules [evidence.Classes]int
	for i := range v.Matches {
		if m := &v.Matches[i]; v.Counts(m) {
			if c, ok := evidence.ClassOfRule(m.Rule); ok {
				rules[c]++
			}
		}
	}
	sum := 0.0
	for c, n := range rules {
		s.Found.Posterior[c] += float64(min(n, most))
		sum += math.Exp(s.Found.Posterior[c])
	}
	for c := range s.Found.Posterior {
		s.Found.Posterior[c] -= math.Log(sum)
	}
}
