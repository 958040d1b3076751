// SPDX-License-Identifier: Apache-2.0

package evidence

import "hash/maphash"

// seed of the hash that tells repeated texts apart; it never leaves the process.
var textSeed = maphash.MakeSeed()

// Vocabulary is the set of words (as tokens) that chains know by name; every other word is a shape.
type Vocabulary map[token]struct{}

// WordCounts counts in how many distinct texts or requests each word occurs.
type WordCounts map[token]uint32

// Add counts the words of one source (a request, a payload) once each.
func (w WordCounts) Add(texts ...string) {
	seen := map[token]struct{}{}
	var buf []byte
	for _, text := range texts {
		buf = appendDecoded(buf[:0], text)
		for rest := buf; len(rest) > 0; {
			word, _, n := next(rest)
			if word != 0 {
				seen[word] = struct{}{}
			}
			rest = rest[n:]
		}
	}
	for word := range seen {
		w[word]++
	}
}

// AtLeast adds to v the words that at least n sources carry.
func (w WordCounts) AtLeast(n uint32, v Vocabulary) {
	for word, count := range w {
		if count >= n {
			v[word] = struct{}{}
		}
	}
}

// Counts are the n-gram counts of one chain: how often each n-gram of up to [Order] tokens occurs. Counts of
// disjoint texts add up.
type Counts struct {
	Grams map[uint32]*Gram
	seen  map[uint64]struct{}
}

// Gram is one n-gram.
type Gram struct {
	Context uint32 // key of the n-gram without its last token; 0 for a single token
	Suffix  uint32 // key of the n-gram without its first token; 0 for a single token
	Order   uint8
	Count   float32 // weighted occurrences
}

// NewCounts returns empty counts.
func NewCounts() *Counts {
	return &Counts{Grams: map[uint32]*Gram{}, seen: map[uint64]struct{}{}}
}

// Add counts the n-grams of a text with the given weight, unless the same text was counted before.
func (c *Counts) Add(text string, vocabulary Vocabulary, weight float32) {
	h := maphash.String(textSeed, text)
	if _, ok := c.seen[h]; ok {
		return
	}
	c.seen[h] = struct{}{}
	var previous, current [Order + 1]uint32 // keys of the n-grams that end at the last and at this token
	length := 0
	for rest := appendDecoded(nil, text); len(rest) > 0; {
		word, tok, n := next(rest)
		rest = rest[n:]
		if _, known := vocabulary[word]; known && word != 0 {
			tok = word
		}
		length = min(length+1, Order)
		current[1] = tok
		c.count(tok, Gram{Order: 1}, weight)
		for k := 2; k <= length; k++ {
			current[k] = extend(previous[k-1], tok)
			c.count(current[k], Gram{Context: previous[k-1], Suffix: current[k-1], Order: uint8(k)}, weight)
		}
		previous = current
	}
}

func (c *Counts) count(key uint32, g Gram, weight float32) {
	if have, ok := c.Grams[key]; ok {
		have.Count += weight
		return
	}
	g.Count = weight
	c.Grams[key] = &g
}
