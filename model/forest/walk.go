// SPDX-License-Identifier: Apache-2.0

package forest

import "math"

// node is one step of a walk, 8 bytes.
//
//	              inner node            leaf
//	threshold     finite                +Inf
//	link  31…24   feature index         depth, in cuts
//	link  23…0    index of left child   index of the leaf itself
//
// The right child follows the left one. Nothing is greater than +Inf, so a
// walk that arrives early stays where it is: every tree takes the same number
// of steps, and no branch depends on the row.
type node struct {
	threshold float32
	link      uint32
}

const (
	linkShift = 24
	linkMask  = 1<<linkShift - 1
)

// lanes is how many trees are walked together. One walk is a chain of loads,
// each waiting for the one before; several chains wait side by side.
const lanes = 8

// group is the roots of neighbouring trees and the height of the tallest, in
// cuts. The last group is filled up with the stub, whose path length is 0.
type group struct {
	root   [lanes]uint32
	height uint32
}

// walk returns the sums of the path lengths of x and of the weights of its
// leaves, added up in the order of the trees, which makes them equal bit for
// bit to walking one tree at a time.
func (f *Forest) walk(x []float32) (length, weight float64) {
	row := f.row(x)
	nodes := f.nodes
	for g := range f.groups {
		g := &f.groups[g]
		// Variables, because an array would not be kept in registers.
		a, b, c, d := g.root[0], g.root[1], g.root[2], g.root[3]
		i, j, k, l := g.root[4], g.root[5], g.root[6], g.root[7]
		for range g.height {
			a = nodes[a].next(&row)
			b = nodes[b].next(&row)
			c = nodes[c].next(&row)
			d = nodes[d].next(&row)
			i = nodes[i].next(&row)
			j = nodes[j].next(&row)
			k = nodes[k].next(&row)
			l = nodes[l].next(&row)
		}
		for _, leaf := range [lanes]uint32{a, b, c, d, i, j, k, l} {
			length += f.length(leaf)
			if f.weights != nil {
				weight += float64(f.weights[leaf])
			}
		}
	}
	return length, weight
}

// row returns x with NaN for what is missing. It is as long as a byte can
// index: that saves the bounds check, and the depth a leaf has in place of a
// feature reads something harmless.
func (f *Forest) row(x []float32) (row [maxFeatures]float32) {
	for i := copy(row[:f.features], x); i < f.features; i++ {
		row[i] = float32(math.NaN())
	}
	return row
}

// next returns the index of the node the row goes to from n.
func (n node) next(row *[maxFeatures]float32) uint32 {
	right := uint32(0) // compiled to a flag, not to a jump
	if row[n.link>>linkShift] > n.threshold {
		right = 1
	}
	return n.link&linkMask + right
}

// length returns the path length of leaf i.
func (f *Forest) length(i uint32) float64 {
	return float64(f.nodes[i].link>>linkShift) + f.average[f.sizes[i]]
}
