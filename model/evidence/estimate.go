// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"cmp"
	"math"
	"slices"
)

// chain is a Markov chain with interpolated counts after Witten and Bell (1991): the probability of a token after a
// context is the mixture of its share among the context's successors and of its probability after the next shorter
// context, the latter weighted by how many different successors the context has shown.
type chain struct {
	counts    *Counts
	total     map[uint32]float64 // context key → occurrences followed by some token
	kinds     map[uint32]float64 // context key → distinct successors
	unigrams  float64            // occurrences of single tokens
	distinct  float64            // distinct single tokens
	alphabet  float64            // tokens of the chains together, for the uniform floor
	smoothing float64
}

func newChain(c *Counts, alphabet int) *chain {
	ch := &chain{counts: c, total: map[uint32]float64{}, kinds: map[uint32]float64{}, alphabet: float64(alphabet)}
	for _, g := range c.Grams {
		if g.Order == 1 {
			ch.unigrams += float64(g.Count)
			ch.distinct++
			continue
		}
		ch.total[g.Context] += float64(g.Count)
		ch.kinds[g.Context]++
	}
	return ch
}

func (ch *chain) count(key uint32) float64 {
	if g, ok := ch.counts.Grams[key]; ok {
		return float64(g.Count)
	}
	return 0
}

// backoff is the weight that a context leaves to the next shorter one.
func (ch *chain) backoff(context uint32) float64 {
	if n := ch.total[context]; n > 0 {
		return ch.kinds[context] / (n + ch.kinds[context])
	}
	return 1
}

// probability of the last token of the n-gram key, given the tokens before it. g describes the n-gram, which need
// not occur in this chain.
func (ch *chain) probability(key uint32, g *Gram, grams map[uint32]*Gram) float64 {
	if g.Order == 1 {
		return (ch.count(key) + ch.distinct/ch.alphabet) / (ch.unigrams + ch.distinct)
	}
	lower := ch.probability(g.Suffix, grams[g.Suffix], grams)
	n, kinds := ch.total[g.Context], ch.kinds[g.Context]
	if n == 0 {
		return lower
	}
	return (ch.count(key) + kinds*lower) / (n + kinds)
}

// entry is one n-gram of a compiled chain pair.
type entry struct {
	key   uint32
	ratio int8 // log-likelihood ratio of its last token, in units of 1/scale nat
	back  int8 // what the context of this n-gram adds to the ratio of a token that was never seen after it
}

// scale is the resolution of quantised ratios: 1/scale nat.
const scale = 16

// clip bounds a token's log-likelihood ratio, in nats, so that no single token decides.
const clip = 4

func quantise(nats float64) int8 {
	return int8(math.Round(scale * min(max(nats, -clip), clip)))
}

// estimate compiles the n-grams of two chains into at most limit entries, the most telling first. An n-gram is worth
// what it changes, in expectation, against backing off to the shorter one (Stolcke 1998); its context and suffix
// stay with it.
func estimate(normal, attack *Counts, limit int) []entry {
	grams := make(map[uint32]*Gram, len(normal.Grams)+len(attack.Grams))
	alphabet := 0
	for _, counts := range []*Counts{normal, attack} {
		for key, g := range counts.Grams {
			if have, ok := grams[key]; ok && have.Order <= g.Order {
				continue // keys are hashes: on a collision the shorter n-gram keeps the key
			}
			grams[key] = g
		}
	}
	for _, g := range grams {
		if g.Order == 1 {
			alphabet++
		}
	}
	n, a := newChain(normal, alphabet), newChain(attack, alphabet)
	ratio := func(key uint32, g *Gram) float64 {
		return math.Log(a.probability(key, g, grams) / n.probability(key, g, grams))
	}
	back := func(key uint32) float64 { return math.Log(a.backoff(key) / n.backoff(key)) }

	kept := map[uint32]struct{}{}
	byWorth := rank(grams, n, a, ratio, back)
	for _, key := range byWorth {
		if len(kept)+Order*(Order+1)/2 > limit { // an n-gram brings at most that many along
			break
		}
		keep(key, grams, kept)
	}
	entries := make([]entry, 0, len(kept))
	for key := range kept {
		entries = append(entries, entry{key, quantise(ratio(key, grams[key])), quantise(back(key))})
	}
	slices.SortFunc(entries, func(x, y entry) int { return cmp.Compare(x.key, y.key) })
	return entries
}

// keep adds the n-gram, its context and its suffix to the set.
func keep(key uint32, grams map[uint32]*Gram, kept map[uint32]struct{}) {
	g, ok := grams[key]
	if _, done := kept[key]; done || !ok {
		return
	}
	kept[key] = struct{}{}
	if g.Order > 1 {
		keep(g.Context, grams, kept)
		keep(g.Suffix, grams, kept)
	}
}

// rank orders the n-grams by worth, all single tokens first. Rare n-grams (fewer than two occurrences in all) are
// left out: they are constants of one text; key 0 marks an empty slot.
func rank(grams map[uint32]*Gram, n, a *chain, ratio func(uint32, *Gram) float64, back func(uint32) float64) []uint32 {
	type ranked struct {
		key   uint32
		worth float64
	}
	// Both chains weigh the same: an occurrence is worth its share of its chain.
	shareN, shareA := 1/max(n.unigrams, 1), 1/max(a.unigrams, 1)
	list := make([]ranked, 0, len(grams))
	for key, g := range grams {
		cn, ca := n.count(key), a.count(key)
		if key == 0 || cn+ca < 2 && g.Order > 1 {
			continue
		}
		worth := math.Inf(1)
		if g.Order > 1 {
			shorter := min(max(back(g.Context)+ratio(g.Suffix, grams[g.Suffix]), -clip), clip)
			longer := min(max(ratio(key, g), -clip), clip)
			worth = (cn*shareN + ca*shareA) * math.Abs(longer-shorter)
		}
		list = append(list, ranked{key, worth})
	}
	slices.SortFunc(list, func(x, y ranked) int {
		return cmp.Or(cmp.Compare(y.worth, x.worth), cmp.Compare(x.key, y.key))
	})
	keys := make([]uint32, len(list))
	for i, r := range list {
		keys[i] = r.key
	}
	return keys
}
