// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/mlverdict/mlverdict/internal/mutate"
	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/request"
)

// MutationSteps are the numbers of mutations after which a payload is looked at.
var MutationSteps = []int{1, 3, 10, 30}

// Mutation measures how many attacks that both CRS and the model deny are still denied after mutations that keep what
// they do: random ones in a row, each mutator alone, and encodings alone and in pairs. Every variant goes through CRS.
type Mutation struct {
	Model   *model.Model
	Seed    uint64
	Attacks []Attack // such as can be mutated
	Levels  []int    // paranoia levels
	Advance func()   // called after each attack; may be nil
}

// MutationReport is what was measured.
type MutationReport struct {
	Model   string         `json:"model"`
	Seed    uint64         `json:"seed"`
	Attacks int            `json:"attacks"`
	Refused int            `json:"refused"` // attacks that Coraza itself refuses
	Cells   []MutationCell `json:"cells"`
	Losses  []MutationLoss `json:"losses"` // denied before, cleared by the model after
}

// The kinds of variants.
const (
	RandomMutations = "random"
	OneMutator      = "mutator"
	OneEncoding     = "encoding"
)

// MutationCell counts the variants of one kind, class and level, among the attacks that both deny unchanged.
type MutationCell struct {
	Kind    string `json:"kind"`
	Variant string `json:"variant"` // number of mutations, or name of the mutator or encoding
	Class   string `json:"class"`
	Level   int    `json:"paranoia_level"`

	Attacks   int `json:"attacks"`
	Kept      int `json:"kept"`         // both still deny
	CRSPasses int `json:"crs_passes"`   // CRS no longer denies
	Cleared   int `json:"cleared"`      // CRS denies, the model clears
	Applied   int `json:"applied"`      // mutations that found a place, summed
	Before    int `json:"score_before"` // summed
	After     int `json:"score_after"`
	NotSafer  int `json:"not_safer"` // the anomaly did not fall
}

// MutationLoss is an attack that mutations got past the model.
type MutationLoss struct {
	Kind     string   `json:"kind"`
	Class    string   `json:"class"`
	Level    int      `json:"paranoia_level"`
	Before   int      `json:"score_before"`
	After    int      `json:"score_after"`
	Payload  string   `json:"payload"`
	Mutated  string   `json:"mutated"`
	Mutators []string `json:"mutators"`
}

// variant is a changed payload.
type variant struct {
	kind, name string
	payload    string
	by         []string
}

// Run measures.
func (s *Mutation) Run(ctx context.Context) (*MutationReport, error) {
	replayer, err := replay.New()
	if err != nil {
		return nil, err
	}
	report := &MutationReport{Model: s.Model.ID(), Seed: s.Seed, Attacks: len(s.Attacks), Losses: []MutationLoss{}}
	type outcome struct {
		sightings []sighting
		refused   bool
		err       error
	}
	cells := map[MutationCell]int{}
	for o := range replay.Parallel(ctx, indexes(len(s.Attacks)), 0, func(i int) outcome {
		sightings, refused, err := s.attack(replayer, i)
		return outcome{sightings, refused, err}
	}) {
		if o.err != nil {
			return nil, o.err
		}
		if s.Advance != nil {
			s.Advance()
		}
		if o.refused {
			report.Refused++
		}
		for _, g := range o.sightings {
			entry(&report.Cells, cells, MutationCell{Kind: g.variant.kind, Variant: g.variant.name, Class: g.class, Level: g.level}).add(&g)
			if g.after.crs && !g.after.denied() {
				report.Losses = append(report.Losses, MutationLoss{g.variant.kind, g.class, g.level, g.before.score, g.after.score,
					g.bare, g.variant.payload, g.variant.by})
			}
		}
	}
	return report, ctx.Err()
}

// sighting is a variant of an attack that was denied before, looked at.
type sighting struct {
	variant       variant
	class, bare   string
	level         int
	before, after opinion
}

func (c *MutationCell) add(g *sighting) {
	c.Attacks++
	c.Applied += len(g.variant.by)
	c.Before += g.before.score
	c.After += g.after.score
	switch {
	case g.after.denied():
		c.Kept++
	case g.after.crs:
		c.Cleared++
	default:
		c.CRSPasses++
	}
	if g.after.anomaly >= g.before.anomaly {
		c.NotSafer++
	}
}

// attack looks at the variants of one attack, at every level at which it is denied as it is.
func (s *Mutation) attack(replayer *replay.Replayer, i int) (sightings []sighting, refused bool, err error) {
	attack := s.Attacks[i]
	bare, err := replayer.Replay(inQuery(attack.Payload))
	if err != nil || bare.Refused {
		return nil, bare.Refused, err
	}
	before := map[int]opinion{}
	for _, level := range s.Levels {
		o, err := ask(s.Model, &bare.View, level)
		if err != nil {
			return nil, false, err
		}
		if o.denied() {
			before[level] = o
		}
	}
	if len(before) == 0 {
		return nil, false, nil
	}
	for _, v := range variants(attack, rand.New(rand.NewPCG(s.Seed, uint64(i)))) {
		rec, err := replayer.Replay(inQuery(v.payload))
		if err != nil {
			return nil, false, err
		}
		for _, level := range s.Levels {
			was, denied := before[level]
			if !denied {
				continue
			}
			after, err := seen(s.Model, &rec, level)
			if err != nil {
				return nil, false, err
			}
			sightings = append(sightings, sighting{v, attack.Class, attack.Payload, level, was, after})
		}
	}
	return sightings, false, nil
}

// seen is ask for a request that Coraza itself may have refused: then nothing got through.
func seen(m *model.Model, rec *replay.Recording, level int) (opinion, error) {
	if rec.Refused {
		return opinion{crs: true, score: model.MinScore, anomaly: 1}, nil
	}
	return ask(m, &rec.View, level)
}

// variants makes those of an attack, none where its class has no mutators.
func variants(attack Attack, rng *rand.Rand) (list []variant) {
	mutators := mutate.For(attack.Class)
	if len(mutators) == 0 {
		return nil
	}
	walk := variant{kind: RandomMutations, payload: attack.Payload}
	last := MutationSteps[len(MutationSteps)-1]
	for n := 1; n <= last; n++ {
		mutated, name, ok := mutate.Any(mutators, walk.payload, rng)
		if ok {
			walk.payload, walk.by = mutated, append(slices.Clone(walk.by), name)
		}
		if slices.Contains(MutationSteps, n) && len(walk.by) > 0 {
			walk.name = strconv.Itoa(n)
			list = append(list, walk)
		}
	}
	for _, m := range mutators {
		if mutated, ok := m.Apply(attack.Payload, rng); ok {
			list = append(list, variant{OneMutator, m.Name, mutated, []string{m.Name}})
		}
	}
	for _, outer := range mutate.Encodings() {
		once, ok := outer.Apply(attack.Payload, rng)
		if !ok {
			continue
		}
		list = append(list, variant{OneEncoding, outer.Name, once, []string{outer.Name}})
		if twice, name, ok := mutate.Any(mutate.Encodings(), once, rng); ok {
			list = append(list, variant{OneEncoding, "two nested", twice, []string{outer.Name, name}})
		}
	}
	return list
}

// Levels lists the paranoia levels.
func Levels() []int { return []int{1, 2, 3, request.ParanoiaLevels} }
