// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// classTable tells the classes of attack text apart: for frequent n-grams of up to classOrder tokens, how much more
// likely each class is to show it than the classes together (naive Bayes with add-one smoothing).
type classTable struct {
	keys    []uint32 // rising
	weights [][Classes]int8
}

const (
	classOrder   = 2       // tokens of the longest n-gram that tells classes apart
	classMinimum = 4       // occurrences below which an n-gram tells nothing
	maxClassKeys = 1 << 16 // bound of the table
)

func estimateClasses(attacks [Classes]*Counts) classTable {
	type row struct {
		key    uint32
		counts [Classes]float64
		sum    float64
	}
	rows := map[uint32]*row{}
	var totals [Classes]float64
	for class, counts := range attacks {
		if counts == nil {
			continue
		}
		for key, g := range counts.Grams {
			if g.Order > classOrder {
				continue
			}
			r, ok := rows[key]
			if !ok {
				r = &row{key: key}
				rows[key] = r
			}
			r.counts[class] += float64(g.Count)
			r.sum += float64(g.Count)
			totals[class] += float64(g.Count)
		}
	}
	list := make([]*row, 0, len(rows))
	for _, r := range rows {
		if r.sum >= classMinimum {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b *row) int { return cmp.Or(cmp.Compare(b.sum, a.sum), cmp.Compare(a.key, b.key)) })
	list = list[:min(len(list), maxClassKeys)]
	slices.SortFunc(list, func(a, b *row) int { return cmp.Compare(a.key, b.key) })

	t := classTable{keys: make([]uint32, len(list)), weights: make([][Classes]int8, len(list))}
	for i, r := range list {
		var share [Classes]float64
		mean := 0.0
		for c := range share {
			share[c] = (r.counts[c] + 0.5) / (totals[c] + float64(len(list)))
			mean += share[c] / Classes
		}
		t.keys[i] = r.key
		for c := range share {
			t.weights[i][c] = quantise(math.Log(share[c] / mean))
		}
	}
	return t
}

// Classify tells for each class how likely the stretch of the last scan belongs to it, given that it is an attack:
// natural logarithms of probabilities.
func (c *Chains) Classify(s *Scanner, t Text) (posterior [Classes]float64) {
	var previous uint32
	first := true
	for rest := s.decoded[t.Lo:t.Hi]; len(rest) > 0; {
		tok, _, n := c.next(rest)
		rest = rest[n:]
		c.classes.vote(&posterior, tok)
		if !first {
			c.classes.vote(&posterior, extend(previous, tok))
		}
		previous, first = tok, false
	}
	top := slices.Max(posterior[:])
	sum := 0.0
	for _, p := range posterior {
		sum += math.Exp(p - top)
	}
	for i := range posterior {
		posterior[i] -= top + math.Log(sum)
	}
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
	n := int(binary.LittleEndian.Uint32(b))
	b = b[4:]
	if n > maxClassKeys || n*size != len(b) {
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
