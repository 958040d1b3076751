// SPDX-License-Identifier: Apache-2.0

package forest

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
)

// Params are the two parameters of the paper, which uses 100 and 256.
type Params struct {
	Trees     int // t, 1 to 4096
	Subsample int // ψ, 1 to 1048576; with fewer rows than that, each tree sees all of them
}

// Train grows a forest from rows, all of one length (1 to 256 features) and
// finite. rng is read for two numbers a tree before any tree grows; growing
// uses GOMAXPROCS goroutines.
//
// A feature that is constant among the rows of a node is not cut there. Rows
// that are equal share a leaf, which counts them. The most nodes the trees
// could have, Trees × (2ψ − 1), may not exceed 4194304.
func Train(rows [][]float32, p Params, rng *rand.Rand) (*Forest, error) {
	if err := check(rows, p); err != nil {
		return nil, err
	}
	if rng == nil {
		return nil, errors.New("forest: no random source")
	}
	seeds := make([][2]uint64, p.Trees)
	for t := range seeds {
		seeds[t] = [2]uint64{rng.Uint64(), rng.Uint64()}
	}

	trees := make([][]byte, p.Trees)
	var taken atomic.Int64
	var workers sync.WaitGroup
	for range min(p.Trees, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			g := newGrower(rows, p.Subsample)
			for {
				t := int(taken.Add(1)) - 1
				if t >= len(trees) {
					return
				}
				trees[t] = g.tree(rand.New(rand.NewPCG(seeds[t][0], seeds[t][1])))
			}
		})
	}
	workers.Wait()

	// Through the codec: there is one way to build a Forest, and none is
	// trained that could not be saved and loaded.
	size := 0
	for _, tree := range trees {
		size += len(tree)
	}
	b := make([]byte, 0, headerSize+size)
	b = appendHeader(b, len(rows[0]), p.Trees, min(p.Subsample, len(rows)), size/recordSize)
	for _, tree := range trees {
		b = append(b, tree...)
	}
	return Decode(b)
}

// check looks at all rows, not just the ones that will be drawn, so that an
// error does not depend on the random source.
func check(rows [][]float32, p Params) error {
	switch {
	case len(rows) == 0:
		return errors.New("forest: no rows to train on")
	case len(rows[0]) < 1 || len(rows[0]) > maxFeatures:
		return fmt.Errorf("forest: rows of %d features (want 1 to %d)", len(rows[0]), maxFeatures)
	case p.Trees < 1 || p.Trees > maxTrees:
		return fmt.Errorf("forest: %d trees (want 1 to %d)", p.Trees, maxTrees)
	case p.Subsample < 1 || p.Subsample > maxSubsample:
		return fmt.Errorf("forest: subsample of %d (want 1 to %d)", p.Subsample, maxSubsample)
	}
	psi := min(p.Subsample, len(rows))
	if n := int64(p.Trees) * int64(2*psi-1); n > maxNodes {
		return fmt.Errorf("forest: %d trees of %d rows may have %d nodes (want at most %d)", p.Trees, psi, n, maxNodes)
	}
	for r, row := range rows {
		if len(row) != len(rows[0]) {
			return fmt.Errorf("forest: row %d has %d features (want %d)", r, len(row), len(rows[0]))
		}
		for i, v := range row {
			if v-v != 0 { // NaN and ±Inf
				return fmt.Errorf("forest: row %d: feature %d is %v (want a finite number)", r, i, v)
			}
		}
	}
	return nil
}

// grower grows one tree after another; its slices are reused.
type grower struct {
	rows       [][]float32
	psi, limit int
	drawn      map[int]struct{}
	columns    [][]float32 // by feature: its value in each row of the sample
	sample     []int32     // indexes into the columns, those of a node side by side
	queue      []span      // by node, in the order of the encoding
	features   []uint8     // those cut has yet to look at
}

// span is the part of grower.sample that is in a node.
type span struct {
	from, to, depth int32
}

func newGrower(rows [][]float32, psi int) *grower {
	psi = min(psi, len(rows))
	g := &grower{
		rows:     rows,
		psi:      psi,
		limit:    bits.Len(uint(psi - 1)), // ceil(log2 ψ)
		drawn:    make(map[int]struct{}, psi),
		columns:  make([][]float32, len(rows[0])),
		sample:   make([]int32, psi),
		features: make([]uint8, len(rows[0])),
	}
	for i := range g.columns {
		g.columns[i] = make([]float32, psi)
	}
	return g
}

// tree draws a sample and returns the records of a tree grown from it.
func (g *grower) tree(rng *rand.Rand) (records []byte) {
	g.draw(rng)
	g.queue = append(g.queue[:0], span{to: int32(g.psi)})
	for i := 0; i < len(g.queue); i++ {
		s := g.queue[i]
		feature, threshold, ok := 0, float32(0), false
		if int(s.depth) < g.limit {
			feature, threshold, ok = g.cut(g.sample[s.from:s.to], rng)
		}
		if !ok {
			records = appendRecord(records, leafMark, uint32(s.to-s.from))
			continue
		}
		records = appendRecord(records, uint16(feature), math.Float32bits(threshold))
		mid := s.from + int32(partition(g.sample[s.from:s.to], g.columns[feature], threshold))
		g.queue = append(g.queue, span{s.from, mid, s.depth + 1}, span{mid, s.to, s.depth + 1})
	}
	return records
}

// draw fills the columns with ψ different rows, each subset as likely as any
// other: Floyd's algorithm (Bentley and Floyd, Programming Pearls, CACM 30(9),
// 1987), which draws ψ numbers however many rows there are.
func (g *grower) draw(rng *rand.Rand) {
	clear(g.drawn)
	for i := range g.psi {
		last := len(g.rows) - g.psi + i
		r := rng.IntN(last + 1)
		if _, twice := g.drawn[r]; twice {
			r = last
		}
		g.drawn[r] = struct{}{}
		for f, v := range g.rows[r] {
			g.columns[f][i] = v
		}
		g.sample[i] = int32(i)
	}
}

// cut picks one of the features that vary in the sample and a threshold that
// leaves rows on both sides, each uniformly. It is not ok when none varies.
func (g *grower) cut(sample []int32, rng *rand.Rand) (feature int, threshold float32, ok bool) {
	if len(sample) < 2 {
		return 0, 0, false
	}
	// Draws without replacement until one varies: as likely as drawing from
	// those that vary, without looking at them all.
	for i := range g.features {
		g.features[i] = uint8(i)
	}
	for left := len(g.features); left > 0; left-- {
		i := rng.IntN(left)
		feature := int(g.features[i])
		g.features[i] = g.features[left-1]
		if lo, hi := bounds(sample, g.columns[feature]); lo < hi {
			return feature, between(lo, hi, rng.Float64()), true
		}
	}
	return 0, 0, false
}

// between returns the threshold at u in [0,1) from lo to hi, lo < hi. It is in
// [lo, hi), so lo goes left and hi goes right, also where rounding to float32
// would have it be hi.
func between(lo, hi float32, u float64) float32 {
	width := float64(hi) - float64(lo)
	t := float32(float64(lo) + float64(u*width)) // the conversion forbids a fused multiply-add: same bytes everywhere
	if t >= hi {
		return lo
	}
	return t
}

func bounds(sample []int32, column []float32) (lo, hi float32) {
	lo, hi = column[sample[0]], column[sample[0]]
	for _, s := range sample {
		if v := column[s]; v < lo {
			lo = v
		} else if v > hi {
			hi = v
		}
	}
	return lo, hi
}

// partition moves the rows that go left to the front and returns their number.
func partition(sample []int32, column []float32, threshold float32) int {
	left := 0
	for i, s := range sample {
		if !(column[s] > threshold) {
			sample[left], sample[i] = s, sample[left]
			left++
		}
	}
	return left
}
