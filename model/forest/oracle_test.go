// SPDX-License-Identifier: Apache-2.0

package forest

import (
	"math"
	"math/rand/v2"
	"slices"
)

// naiveTree is the paper's algorithm written down plainly: pointers, rows
// copied to each side, path lengths counted while walking. It shares no code
// with the package; it makes the same draws in the same order.
type naiveTree struct {
	feature     int
	threshold   float32
	left, right *naiveTree
	rows        [][]float32
	depth       int
}

type naiveForest struct {
	trees []*naiveTree
	psi   int
}

func growNaive(rows [][]float32, p Params, rng *rand.Rand) naiveForest {
	f := naiveForest{psi: min(p.Subsample, len(rows))}
	var sources []*rand.Rand
	for range p.Trees {
		a := rng.Uint64()
		b := rng.Uint64()
		sources = append(sources, rand.New(rand.NewPCG(a, b)))
	}
	for _, source := range sources {
		f.trees = append(f.trees, growNaiveTree(rows, f.psi, source))
	}
	return f
}

func growNaiveTree(rows [][]float32, psi int, rng *rand.Rand) *naiveTree {
	var drawn []int
	for j := len(rows) - psi; j < len(rows); j++ {
		if r := rng.IntN(j + 1); slices.Contains(drawn, r) {
			drawn = append(drawn, j)
		} else {
			drawn = append(drawn, r)
		}
	}
	root := &naiveTree{}
	for _, r := range drawn {
		root.rows = append(root.rows, rows[r])
	}
	limit := int(math.Ceil(math.Log2(float64(psi))))
	for queue := []*naiveTree{root}; len(queue) > 0; queue = queue[1:] {
		n := queue[0]
		if n.depth >= limit || len(n.rows) < 2 {
			continue
		}
		lo, hi, ok := float32(0), float32(0), false
		var features []int
		for i := range rows[0] {
			features = append(features, i)
		}
		for len(features) > 0 && !ok {
			i := rng.IntN(len(features))
			n.feature = features[i]
			features[i] = features[len(features)-1]
			features = features[:len(features)-1]
			var column []float32
			for _, row := range n.rows {
				column = append(column, row[n.feature])
			}
			lo, hi = slices.Min(column), slices.Max(column)
			ok = lo != hi
		}
		if !ok {
			continue
		}
		n.threshold = float32(float64(lo) + float64((float64(hi)-float64(lo))*rng.Float64()))
		if n.threshold == hi {
			n.threshold = lo
		}
		n.left, n.right = &naiveTree{depth: n.depth + 1}, &naiveTree{depth: n.depth + 1}
		for _, row := range n.rows {
			if row[n.feature] > n.threshold {
				n.right.rows = append(n.right.rows, row)
			} else {
				n.left.rows = append(n.left.rows, row)
			}
		}
		queue = append(queue, n.left, n.right)
	}
	return root
}

func (n *naiveTree) pathLength(x []float32) float64 {
	cuts := 0
	for n.left != nil {
		cuts++
		if n.feature < len(x) && x[n.feature] > n.threshold {
			n = n.right
		} else {
			n = n.left
		}
	}
	return float64(cuts) + naiveAverage(len(n.rows))
}

func (f naiveForest) pathLength(x []float32) float64 {
	sum := 0.0
	for _, t := range f.trees {
		sum += t.pathLength(x)
	}
	return sum / float64(len(f.trees))
}

// naiveAverage is equation 1 of the paper.
func naiveAverage(n int) float64 {
	if n < 2 {
		return 0
	}
	harmonic := 0.0
	for i := 1; i <= n-1; i++ {
		harmonic += 1 / float64(i)
	}
	return 2*harmonic - 2*float64(n-1)/float64(n)
}

// flatForest is the straightforward flat walk: one tree at a time, stopping at
// the leaf. The benchmarks hold it against [Forest.PathLength].
type flatForest struct {
	roots []int32
	nodes []flatNode
}

type flatNode struct {
	feature, left int32 // left is 0 in a leaf; right is left + 1
	threshold     float32
	weight        float32 // of a leaf
	length        float64 // of the path to a leaf
}

func flatten(f naiveForest) (flat flatForest) {
	for _, root := range f.trees {
		flat.roots = append(flat.roots, int32(len(flat.nodes)))
		flat.nodes = append(flat.nodes, flatNode{})
		at := []int32{int32(len(flat.nodes) - 1)}
		for queue := []*naiveTree{root}; len(queue) > 0; queue, at = queue[1:], at[1:] {
			n := queue[0]
			if n.left == nil {
				flat.nodes[at[0]].length = float64(n.depth) + naiveAverage(len(n.rows))
				continue
			}
			left := int32(len(flat.nodes))
			flat.nodes[at[0]] = flatNode{feature: int32(n.feature), left: left, threshold: n.threshold}
			flat.nodes = append(flat.nodes, flatNode{}, flatNode{})
			queue, at = append(queue, n.left, n.right), append(at, left, left+1)
		}
	}
	return flat
}

// flattenWeighed is the same for a forest whose leaves have weights.
func flattenWeighed(f *Forest) (flat flatForest) {
	for i, n := range f.nodes {
		if f.sizes[i] > 0 {
			leaf := flatNode{weight: f.weights[i], length: float64(n.link>>linkShift) + naiveAverage(int(f.sizes[i]))}
			flat.nodes = append(flat.nodes, leaf)
			continue
		}
		flat.nodes = append(flat.nodes, flatNode{feature: int32(n.link >> linkShift), left: int32(n.link & linkMask), threshold: n.threshold})
	}
	for t := range f.trees {
		flat.roots = append(flat.roots, int32(f.groups[t/lanes].root[t%lanes]))
	}
	return flat
}

// pathLength wants a row as long as the forest has features.
func (f flatForest) pathLength(x []float32) float64 {
	sum, _ := f.walk(x)
	return sum / float64(len(f.roots))
}

// walk returns the sums of the path lengths and of the weights.
func (f flatForest) walk(x []float32) (length, weight float64) {
	for _, i := range f.roots {
		n := &f.nodes[i]
		for n.left != 0 {
			if x[n.feature] > n.threshold {
				n = &f.nodes[n.left+1]
			} else {
				n = &f.nodes[n.left]
			}
		}
		length += n.length
		weight += float64(n.weight)
	}
	return length, weight
}
