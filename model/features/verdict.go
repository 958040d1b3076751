// SPDX-License-Identifier: Apache-2.0

package features

import (
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/request"
)

// Verdict is the schema of the product's own models: few, strong features from two witnesses, the payload's text and
// CRS's matches.
var Verdict = &Schema{
	Name: "verdict/1",
	Features: []Feature{
		{"payload_max", "largest payload evidence of any value, nats"},
		{"payload_flagged", "largest payload evidence of a value that a payload rule of CRS matched, nats"},
		{"payload_total", "sum of the payload evidence of all values, nats"},
		{"payload_density", "payload evidence of the strongest value for each token of its stretch, nats"},
		{"rule_sum", "sum of the surprise of the matched payload rules (930–944), nats"},
		{"rule_max", "largest surprise of a matched rule of any kind, nats"},
	},
}

func init() { Verdict.extract = extractVerdict }

func extractVerdict(x *Extractor, s *Scratch, v *request.View) {
	payloadMax, payloadFlagged, payloadTotal, density := x.payload(s, v)
	ruleSum, ruleMax := x.rules(s, v)
	vector := [...]float64{payloadMax, payloadFlagged, payloadTotal, density, ruleSum, ruleMax}
	for i, f := range vector {
		s.Vector[i] = float32(f)
	}
}

// payload scans every value and keeps the strongest. The stretch of a value that CRS flagged comes before that of a
// stronger one that it did not: it is what the two witnesses agree on.
func (x *Extractor) payload(s *Scratch, v *request.View) (strongest, flagged, total, density float64) {
	s.flagged = v.Flagged(s.flagged)
	for i := range v.Values {
		t := x.Chains.Scan(&s.scanner, v.Values[i].Text)
		if t.Evidence <= 0 {
			continue
		}
		total += t.Evidence
		strongest = max(strongest, t.Evidence)
		if t.Evidence == strongest {
			density = t.Evidence / float64(t.Tokens)
		}
		if s.flagged[i] {
			flagged = max(flagged, t.Evidence)
		}
		if (s.flagged[i] && t.Evidence >= flagged) || (flagged == 0 && t.Evidence >= strongest) {
			s.quote(x.Chains, i, t)
		}
	}
	return strongest, flagged, total, density
}

func (s *Scratch) quote(c *evidence.Chains, value int, t evidence.Text) {
	s.Found.Value, s.Found.Evidence = value, t.Evidence
	s.Found.Posterior = c.Classify(&s.scanner, t)
	s.Found.QuoteLen = copy(s.Found.Quote[:], s.scanner.Decoded()[t.Lo:t.Hi])
}

func (x *Extractor) rules(s *Scratch, v *request.View) (sum, largest float64) {
	for i := range v.Matches {
		m := &v.Matches[i]
		if !v.Counts(m) {
			continue
		}
		surprise := x.Rules.Surprise(m.Rule)
		if m.Payload() {
			sum += surprise
		}
		if surprise >= largest {
			largest, s.Found.Rule, s.Found.Rarity = surprise, m.Rule, x.Rules.Rarity(m.Rule)
		}
	}
	return sum, largest
}
