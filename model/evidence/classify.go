// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
)

// classTable tells the classes of attack text apart: what each frequent n-gram of up to two tokens says for each class, by
// multinomial logistic regression.
type classTable struct {
	keys    []uint32 // rising
	weights [][Classes]int8
}

const (
	classMinimum = 4       // attacks with it below which an n-gram tells nothing
	maxClassKeys = 1 << 16 // bound of the table
)

// The regression is learned by stochastic gradient descent with AdaGrad's step sizes, as [Sample]s correct the chains.
const (
	classEpochs = 10
	classRate   = 0.3
)

// learnClasses learns the classes of the attacks among the samples, each from the stretch that c finds in it, which is what
// [Chains.Classify] will see.
func learnClasses(c *Chains, samples []Sample, rng *rand.Rand) classTable {
	attacks := slices.DeleteFunc(slices.Clone(samples), func(s Sample) bool { return !s.Attack })
	carriers := map[uint32]int{}
	examples := make([][]uint32, len(attacks))
	var s Scanner
	for i, a := range attacks {
		keys := slices.Collect(c.classKeys(&s, c.Scan(&s, a.Text)))
		examples[i] = keys
		for _, key := range slices.Compact(slices.Sorted(slices.Values(keys))) {
			carriers[key]++
		}
	}
	frequent := slices.DeleteFunc(slices.Collect(maps.Keys(carriers)), func(key uint32) bool { return carriers[key] < classMinimum })
	slices.SortFunc(frequent, func(a, b uint32) int { return cmp.Or(carriers[b]-carriers[a], cmp.Compare(a, b)) })
	t := classTable{keys: frequent[:min(len(frequent), maxClassKeys)]}
	slices.Sort(t.keys)
	t.weights = make([][Classes]int8, len(t.keys))

	weights, squares := make([][Classes]float64, len(t.keys)), make([][Classes]float64, len(t.keys))
	var at []int // indexes of one example's n-grams
	for range classEpochs {
		for _, i := range rng.Perm(len(attacks)) {
			var votes [Classes]float64
			at = at[:0]
			for _, key := range examples[i] {
				if k, ok := slices.BinarySearch(t.keys, key); ok {
					at = append(at, k)
					for class, w := range weights[k] {
						votes[class] += w
					}
				}
			}
			normalise(&votes)
			for class := range votes {
				gradient := -math.Exp(votes[class])
				if Class(class) == attacks[i].Class {
					gradient++
				}
				gradient *= attacks[i].Weight / math.Sqrt(float64(len(at)+1))
				for _, k := range at {
					squares[k][class] += gradient * gradient
					weights[k][class] += classRate * gradient / math.Sqrt(refineFloor+squares[k][class])
				}
			}
		}
	}
	for k := range weights {
		for class, w := range weights[k] {
			t.weights[k][class] = quantise(w)
		}
	}
	return t
}

// normalise turns votes into natural logarithms of probabilities.
func normalise(votes *[Classes]float64) {
	top := slices.Max(votes[:])
	sum := 0.0
	for _, v := range votes {
		sum += math.Exp(v - top)
	}
	for i := range votes {
		votes[i] -= top + math.Log(sum)
	}
}

// classKeys yields the n-grams of a stretch of the last scan.
func (c *Chains) classKeys(s *Scanner, t Text) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		var previous uint32
		first := true
		for rest := s.decoded[t.Lo:t.Hi]; len(rest) > 0; {
			tok, _, n := c.next(rest)
			rest = rest[n:]
			if !yield(tok) || !first && !yield(extend(previous, tok)) {
				return
			}
			previous, first = tok, false
		}
	}
}

// Votes are what the rules of CRS that matched say for each class, nats.
type Votes [Classes]float64

// mostVote bounds what rules say for a class: more of them say nothing new.
const mostVote = 15

// Add counts a match of a rule, for the class that the rule's file looks for. It says as much as it surprises on normal traffic
// ([Rules.Surprise]): the rules that any text with a few marks trips over look for SQL injection, most of them.
func (v *Votes) Add(rule int, surprise float64) {
	if class, ok := ClassOfRule(rule); ok {
		v[class] = min(v[class]+surprise, mostVote)
	}
}

// Classify tells for each class how likely an attack belongs to it that has the stretch of the last scan and for which rules
// voted: natural logarithms of probabilities.
func (c *Chains) Classify(s *Scanner, t Text, votes *Votes) (posterior [Classes]float64) {
	for key := range c.classKeys(s, t) {
		c.classes.vote(&posterior, key)
	}
	for class, v := range votes {
		posterior[class] += v
	}
	normalise(&posterior)
	return posterior
}

func (t *classTable) vote(votes *[Classes]float64, key uint32) {
	if i, ok := slices.BinarySearch(t.keys, key); ok {
		for c, w := range t.weights[i] {
			votes[c] += float64(w) / scale
		}
	}
}

// appendBinary appends uint32 number of n-grams, then for each, by rising key, uint32 key and one int8 a class.
func (t *classTable) appendBinary(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(t.keys)))
	for i, key := range t.keys {
		b = binary.LittleEndian.AppendUint32(b, key)
		for _, w := range t.weights[i] {
			b = append(b, byte(w))
		}
	}
	return b
}

func decodeClassTable(b []byte) (classTable, error) {
	const size = 4 + Classes
	if len(b) < 4 {
		return classTable{}, fmt.Errorf("evidence: class table: %w: cut short", ErrFormat)
	}
	n := int64(binary.LittleEndian.Uint32(b))
	b = b[4:]
	if n > maxClassKeys || n*size != int64(len(b)) {
		return classTable{}, fmt.Errorf("evidence: class table: %w: %d n-grams (limit %d) in %d bytes",
			ErrFormat, n, maxClassKeys, len(b))
	}
	t := classTable{keys: make([]uint32, n), weights: make([][Classes]int8, n)}
	for i := range t.keys {
		t.keys[i] = binary.LittleEndian.Uint32(b)
		for c := range t.weights[i] {
			t.weights[i][c] = int8(b[4+c])
		}
		b = b[size:]
	}
	if !slices.IsSorted(t.keys) {
		return classTable{}, fmt.Errorf("evidence: class table: %w: n-grams out of order", ErrFormat)
	}
	return t, nil
}
