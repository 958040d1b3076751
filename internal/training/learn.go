// SPDX-License-Identifier: Apache-2.0

package training

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/mlverdict/mlverdict/internal/mutate"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/features"
)

// learn learns both witnesses, where the schema has them, and puts them into parts. It returns for each fold the
// extractor that measures it, learned without it.
func (c *Corpus) learn(parts *model.Parts, p Params) (measures *extractors, err error) {
	measures = new(extractors)
	if p.Schema != features.Verdict {
		for f := range measures {
			measures[f] = &features.Extractor{Schema: p.Schema}
		}
		return measures, nil
	}
	chains, err := c.chains(p)
	if err != nil {
		return nil, err
	}
	traffic, noise := countRules(c.Normal, p.Schema, chains[:]), countRules(c.Noise, p.Schema, chains[:])
	rules := func(without int) *evidence.Rules {
		return evidence.CompileRules(merged(traffic[:], without), merged(noise[:], without))
	}
	for f := range measures {
		measures[f] = &features.Extractor{Schema: p.Schema, Chains: chains[f], Rules: rules(f)}
	}
	parts.Chains, parts.Rules = chains[folds], rules(folds)
	return measures, nil
}

var errNoAttacks = errors.New("training: no attacks (rows with the label attack)")

// chains are learned once without each fold, and last of all with every one.
func (c *Corpus) chains(p Params) (chains [folds + 1]*evidence.Chains, err error) {
	attacks := c.texts()
	if len(attacks) == 0 {
		return chains, errNoAttacks
	}
	split := c.split(attacks, p)
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for without := range chains {
		group.Go(func() (err error) {
			chains[without], err = compile(split[:], without, p)
			return err
		})
	}
	return chains, group.Wait()
}

// countRules counts by fold which rules match requests, on texts as the fold's chains see them.
func countRules(requests []Normal, schema *features.Schema, chains []*evidence.Chains) (counts [folds]*evidence.RuleCounts) {
	var s features.Scratch
	var values []features.Measured
	for f := range counts {
		counts[f] = evidence.NewRuleCounts()
	}
	for i := range requests {
		n := &requests[i]
		f := fold(n.Group)
		x := features.Extractor{Schema: schema, Chains: chains[f]}
		values = x.Measure(&s, values[:0], &n.View)
		counts[f].Add(&n.View, stretches(values), n.Group)
	}
	return counts
}

// stretches lists the lengths of the stretches of text that look like an attack, by value.
func stretches(values []features.Measured) []int {
	list := make([]int, len(values))
	for i, v := range values {
		list[i] = v.Stretch
	}
	return list
}

// merged sums the counts of all folds but one.
func merged(counts []*evidence.RuleCounts, without int) *evidence.RuleCounts {
	sum := evidence.NewRuleCounts()
	for f, c := range counts {
		if f != without {
			sum.Merge(c)
		}
	}
	return sum
}

// part is what one fold of the corpus tells of texts.
type part struct {
	normal, attack *evidence.Counts
	samples        []evidence.Sample
}

// split counts the corpus by fold. A text that several normal requests carry counts once.
func (c *Corpus) split(attacks []Attack, p Params) (parts [folds]part) {
	vocabulary := c.vocabulary(attacks, p)
	for f := range parts {
		parts[f].normal, parts[f].attack = evidence.NewCounts(), evidence.NewCounts()
	}
	seen := map[string]struct{}{}
	for i := range c.Normal {
		n := &c.Normal[i]
		f := &parts[fold(n.Group)]
		for _, v := range n.View.Values {
			if _, repeated := seen[v.Text]; !repeated {
				seen[v.Text] = struct{}{}
				f.normal.Add(v.Text, vocabulary, 1)
				f.samples = append(f.samples, evidence.Sample{Text: v.Text, Weight: 1})
			}
		}
	}
	for family, text := range p.noise() {
		f := &parts[fold(noiseGroup(family))]
		f.samples = append(f.samples, evidence.Sample{Text: text, Weight: 1})
	}
	weights := classWeights(attacks)
	rng := rand.New(rand.NewPCG(p.Seed, 5))
	for _, a := range attacks {
		f := &parts[fold(a.Group)]
		f.attack.Add(a.Text, vocabulary, 1)
		f.samples = append(f.samples, evidence.Sample{Text: a.Text, Attack: true, Class: a.Class, Weight: weights[a.Class]})
		for range mutants {
			if text, ok := p.mutated(a, rng); ok {
				f.samples = append(f.samples, evidence.Sample{Text: text, Attack: true, Class: a.Class, Weight: weights[a.Class] / 2})
			}
		}
	}
	return parts
}

const (
	mutants       = 8  // of each attack correct the chains, too, each with half of its weight
	mostMutations = 10 // of a mutant
)

// mutated returns an attack after some mutations that keep what it does, so that the chains do not rest on what an attacker is free
// to change; ok is false where there is nothing to mutate.
func (p *Params) mutated(a Attack, rng *rand.Rand) (text string, ok bool) {
	if !p.Augment {
		return "", false
	}
	mutators := mutate.For(a.Class.String())
	text = a.Text
	for range 1 + rng.IntN(mostMutations) {
		next, _, more := mutate.Any(mutators, text, rng)
		if !more {
			break
		}
		text, ok = next, true
	}
	return text, ok
}

// classWeights gives the texts of a class the more weight the rarer it is, by the square root of its share and at
// most maxWeight.
func classWeights(attacks []Attack) (weights [evidence.Classes]float64) {
	const maxWeight = 3
	var number [evidence.Classes]float64
	for _, a := range attacks {
		number[a.Class]++
	}
	for class, n := range number {
		weights[class] = min(math.Sqrt(0.25*float64(len(attacks))/max(n, 1)), maxWeight)
	}
	return weights
}

// compile makes chains from all parts but one.
func compile(parts []part, without int, p Params) (*evidence.Chains, error) {
	var normal, attack []*evidence.Counts
	var samples []evidence.Sample
	for f, part := range parts {
		if f == without {
			continue
		}
		normal, attack = append(normal, part.normal), append(attack, part.attack)
		samples = append(samples, part.samples...)
	}
	return evidence.CompileChains(normal, attack, p.NGrams, samples, rand.New(rand.NewPCG(p.Seed, uint64(without))))
}

// vocabulary takes the words that enough different requests or payloads carry: a word of one visitor or of one
// payload must not enter a model.
func (c *Corpus) vocabulary(attacks []Attack, p Params) evidence.Vocabulary {
	normal, attack := evidence.WordCounts{}, evidence.WordCounts{}
	var texts []string
	for i := range c.Normal {
		texts = texts[:0]
		for _, v := range c.Normal[i].View.Values {
			texts = append(texts, v.Text)
		}
		normal.Add(texts...)
	}
	for _, a := range attacks {
		attack.Add(a.Text)
	}
	v := evidence.Vocabulary{}
	normal.AtLeast(p.Carriers, v)
	attack.AtLeast(p.AttackUse, v)
	return v
}
