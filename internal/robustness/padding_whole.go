// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"context"
	"math/rand/v2"

	"github.com/mlverdict/mlverdict/internal/evaluation"
	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/waf"
)

// WholeCell counts padded attacks that went through CRS.
type WholeCell struct {
	Text      string `json:"text"`
	Size      int    `json:"size"`
	Level     int    `json:"paranoia_level"`
	Tried     int    `json:"tried"`
	Refused   int    `json:"refused"` // by Coraza itself
	CRS       int    `json:"crs_denied"`
	Denied    int    `json:"denied"`
	CRSAlone  bool   `json:"padding_crs_denied"` // the padding without a payload
	Alone     bool   `json:"padding_denied"`
	Untouched int    `json:"untouched"` // denied, though the padding alone would not be
}

// wholeCase is a request of Whole.
type wholeCase struct {
	kind    int // of text
	size    int
	payload string // empty: the padding alone
	place   string
}

// whole sends attacks of each class through CRS and the model, each in every padding at a place that is drawn.
func (s *Padding) whole(ctx context.Context, texts []padding, attacks []Attack, report *PaddingReport) error {
	cases := s.cases(attacks)
	w, err := waf.New(waf.Config{Paranoia: s.Levels[0], Plugin: true, ModelPath: s.ModelPath})
	if err != nil {
		return err
	}
	cells := map[WholeCell]int{}
	type outcome struct {
		evaluation.Outcome
		err error
	}
	i := 0
	for o := range replay.Parallel(ctx, indexes(len(cases)), 0, func(i int) outcome {
		c := cases[i]
		text := texts[c.kind].around(c.payload, c.place, c.size, rand.New(rand.NewPCG(s.Seed, uint64(i))))
		out, err := evaluation.Replay(w, inForm(text))
		return outcome{out, err}
	}) {
		if o.err != nil {
			return o.err
		}
		if s.Advance != nil {
			s.Advance()
		}
		c := cases[i]
		i++
		entry(&report.Whole, cells, WholeCell{Text: texts[c.kind].name, Size: c.size, Level: s.Levels[0]}).add(c.payload != "", o.Outcome)
	}
	return ctx.Err()
}

func (c *WholeCell) add(attack bool, o evaluation.Outcome) {
	if !attack { // it comes first
		c.CRSAlone, c.Alone = o.CRSDenied, o.Denied
		return
	}
	c.Tried++
	switch {
	case o.Refused:
		c.Refused++
	case o.CRSDenied:
		c.CRS++
	}
	if o.Denied {
		c.Denied++
		if !c.Alone {
			c.Untouched++
		}
	}
}

// cases lists what goes through CRS: of each text and size, the padding alone first.
func (s *Padding) cases(attacks []Attack) (cases []wholeCase) {
	if s.Whole == 0 {
		return nil
	}
	rng := rand.New(rand.NewPCG(s.Seed, 1))
	for kind := range paddingKinds {
		for _, size := range s.Sizes {
			if size > throughCRS {
				continue
			}
			cases = append(cases, wholeCase{kind: kind, size: size, place: "end"})
			taken := map[string]int{}
			for _, attack := range attacks {
				if taken[attack.Class]++; taken[attack.Class] <= s.Whole {
					cases = append(cases, wholeCase{kind, size, attack.Payload, pick(rng, paddingPlaces)})
				}
			}
		}
	}
	return cases
}
