// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// gram is one n-gram with its counts in both chains.
type gram struct {
	key             uint32
	context, suffix int32 // indexes of the n-gram without its last and without its first token; -1 for a single token
	order           uint8
	normal, attack  side
}

// side is what one chain knows of an n-gram.
type side struct {
	count       float64 // occurrences
	total       float64 // occurrences followed by some token
	kinds       float64 // distinct tokens that followed
	probability float64 // of its last token after the others
}

// chain is a Markov chain with interpolated counts after Witten and Bell (1991): the probability of a token after a
// context is the mixture of its share among the context's successors and of its probability after the next shorter
// context, the latter weighted by how many different successors the context has shown.
type chain struct {
	of       func(*gram) *side
	unigrams float64 // occurrences of single tokens
	distinct float64 // distinct single tokens
}

// backoff is the weight that a context leaves to the next shorter one.
func (s *side) backoff() float64 {
	if s.total > 0 {
		return s.kinds / (s.total + s.kinds)
	}
	return 1
}

// table holds the n-grams of both chains, shorter ones first.
type table struct {
	grams          []gram
	index          map[uint32]int32
	normal, attack chain
}

func tabulate(normal, attack []*Counts) *table {
	t := &table{
		index:  map[uint32]int32{},
		normal: chain{of: func(g *gram) *side { return &g.normal }},
		attack: chain{of: func(g *gram) *side { return &g.attack }},
	}
	for order := uint8(1); order <= Order; order++ {
		t.add(&t.normal, normal, order)
		t.add(&t.attack, attack, order)
	}
	for i := range t.grams {
		t.normal.estimate(t, &t.grams[i])
		t.attack.estimate(t, &t.grams[i])
	}
	return t
}

// add takes over the n-grams of one order. Keys are hashes: of two n-grams with one key, the shorter one keeps it, and
// what was built on the other is left out.
func (t *table) add(ch *chain, all []*Counts, order uint8) {
	for _, counts := range all {
		for key, g := range counts.Grams {
			if g.Order != order {
				continue
			}
			i, ok := t.index[key]
			if !ok {
				context, suffix := int32(-1), int32(-1)
				if order > 1 {
					if context, suffix, ok = t.shorter(g); !ok {
						continue
					}
				}
				i = int32(len(t.grams))
				t.index[key] = i
				t.grams = append(t.grams, gram{key: key, context: context, suffix: suffix, order: order})
			} else if t.grams[i].order != order {
				continue
			}
			own := ch.of(&t.grams[i])
			count := float64(g.Count)
			if order == 1 {
				ch.unigrams += count
				if own.count == 0 {
					ch.distinct++
				}
			} else {
				context := ch.of(&t.grams[t.grams[i].context])
				context.total += count
				if own.count == 0 {
					context.kinds++
				}
			}
			own.count += count
		}
	}
}

// shorter finds the n-grams that g extends by its last and by its first token.
func (t *table) shorter(g *Gram) (context, suffix int32, ok bool) {
	context, known := t.index[g.Context]
	suffix, ok = t.index[g.Suffix]
	ok = ok && known && t.grams[context].order == g.Order-1 && t.grams[suffix].order == g.Order-1
	return context, suffix, ok
}

// estimate computes the probability of an n-gram, whose shorter ones have theirs.
func (ch *chain) estimate(t *table, g *gram) {
	own := ch.of(g)
	if g.order == 1 {
		own.probability = (own.count + 0.5) / (ch.unigrams + 0.5*float64(len(t.grams)))
		return
	}
	lower, context := ch.of(&t.grams[g.suffix]).probability, ch.of(&t.grams[g.context])
	if context.total == 0 {
		own.probability = lower
		return
	}
	own.probability = (own.count + context.kinds*lower) / (context.total + context.kinds)
}

func (g *gram) ratio() float64 { return math.Log(g.attack.probability / g.normal.probability) }

func (g *gram) back() float64 { return math.Log(g.attack.backoff() / g.normal.backoff()) }

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
//
// suffixes tells for each entry the index of the entry of its suffix, -1 for a single token.
func estimate(normal, attack []*Counts, limit int) (entries []entry, suffixes []int32) {
	t := tabulate(normal, attack)
	kept := map[int32]struct{}{}
	for _, i := range t.rank() {
		if len(kept)+Order*(Order+1)/2 > limit { // an n-gram brings at most that many along
			break
		}
		t.keep(i, kept)
	}
	order := slices.SortedFunc(maps.Keys(kept), func(i, j int32) int { return cmp.Compare(t.grams[i].key, t.grams[j].key) })
	at := make(map[int32]int32, len(order)) // index in t.grams → index in entries
	for n, i := range order {
		at[i] = int32(n)
	}
	for _, i := range order {
		g := &t.grams[i]
		entries = append(entries, entry{g.key, quantise(g.ratio()), quantise(g.back())})
		suffix := int32(-1)
		if g.order > 1 {
			suffix = at[g.suffix]
		}
		suffixes = append(suffixes, suffix)
	}
	return entries, suffixes
}

// keep adds the n-gram, its context and its suffix to the set.
func (t *table) keep(i int32, kept map[int32]struct{}) {
	if _, done := kept[i]; done {
		return
	}
	kept[i] = struct{}{}
	if g := &t.grams[i]; g.order > 1 {
		t.keep(g.context, kept)
		t.keep(g.suffix, kept)
	}
}

// rank orders the n-grams by worth, all single tokens first. Rare n-grams (fewer than two occurrences in all) are
// left out: they are constants of one text; key 0 marks an empty slot.
func (t *table) rank() []int32 {
	type ranked struct {
		i     int32
		key   uint32
		worth float64
	}
	// Both chains weigh the same: an occurrence is worth its share of its chain.
	shareN, shareA := 1/max(t.normal.unigrams, 1), 1/max(t.attack.unigrams, 1)
	var list []ranked
	for i := range t.grams {
		g := &t.grams[i]
		if g.key == 0 || g.normal.count+g.attack.count < 2 && g.order > 1 {
			continue
		}
		worth := math.Inf(1)
		if g.order > 1 {
			shorter := min(max(t.grams[g.context].back()+t.grams[g.suffix].ratio(), -clip), clip)
			longer := min(max(g.ratio(), -clip), clip)
			worth = (g.normal.count*shareN + g.attack.count*shareA) * math.Abs(longer-shorter)
		}
		list = append(list, ranked{int32(i), g.key, worth})
	}
	slices.SortFunc(list, func(x, y ranked) int {
		return cmp.Or(cmp.Compare(y.worth, x.worth), cmp.Compare(x.key, y.key))
	})
	order := make([]int32, len(list))
	for i, r := range list {
		order[i] = r.i
	}
	return order
}
