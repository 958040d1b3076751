// SPDX-License-Identifier: Apache-2.0

// Package forest is an Isolation Forest after
//
//	F. T. Liu, K. M. Ting, Z.-H. Zhou: Isolation Forest, ICDM 2008
//	(doi:10.1109/ICDM.2008.17).
//
// A tree cuts a small subsample of the training rows at random, one feature
// and one value at a time, until rows stand alone or the height limit
// ceil(log2 ψ) is reached. Rows unlike the rest stand alone after few cuts:
// the shorter the mean path of a row through the trees, the more anomalous
// the row.
//
// # Missing values
//
// A row goes right where its value is greater than the threshold and left
// otherwise, so NaN goes left everywhere, as −Inf does. A row shorter than
// [Forest.Features] is read as if NaN filled it up; values beyond are not
// read. Training, on the other hand, refuses anything that is not finite.
//
// # Reproducible results
//
// Equal rows, [Params] and random source give equal bytes on every platform
// and for every GOMAXPROCS. A Forest never changes once made and may be used
// by many goroutines at once.
package forest

import "math"

// Caps on what is trained or loaded. They bound the memory of a loaded forest
// (12 bytes a node, 8 bytes a sample of ψ) and the work of scoring one row
// (maxTrees × maxDepth steps).
const (
	maxTrees     = 4096
	maxSubsample = 1 << 20
	maxFeatures  = 256 // a feature index is one byte
	maxNodes     = 1 << 22
	maxDepth     = 64
)

// Forest is a trained Isolation Forest, made by [Train] or [Decode]. The zero
// Forest has no trees: every path length is 0 and every anomaly score 0.5.
type Forest struct {
	// nodes holds one stub leaf at index 0, then tree after tree, each breadth
	// first: siblings are neighbours, and upper levels share cache lines.
	nodes []node
	// sizes is parallel to nodes: the number of training rows in a leaf, 0 in
	// an inner node.
	sizes []uint32
	// groups holds the roots of the trees, lanes at a time.
	groups []group
	// weights is parallel to nodes, 0 in an inner node; nil without weights.
	weights []float32
	bias    float32
	// average[n] is c(n) for n ≤ ψ.
	average []float64

	trees, subsample, features int
}

// PathLength returns the mean path length E[h(x)] of the row x over the trees:
// the number of cuts to its leaf, plus c(size) for a leaf of several training
// rows. It does not allocate.
func (f *Forest) PathLength(x []float32) float64 {
	if f.trees == 0 {
		return 0
	}
	length, _ := f.walk(x)
	return length / float64(f.trees)
}

// Anomaly returns the anomaly of the row x, in 0…1.
//
// It is the score of the paper, 2^(−E[h(x)]/c(ψ)), greater than 0; the paper
// reads scores well over 0.5 as anomalies. A forest grown from single rows
// (ψ = 1) cannot tell rows apart and scores 0.5, as does one grown from equal
// rows.
//
// A forest whose leaves carry weights (see [Forest.Weigh]) returns the
// logistic function of z/4 with z = bias + (c(ψ) − E[h(x)]) + Σ weights, its
// [Forest.Margin]: the same order where the weights are 0.
func (f *Forest) Anomaly(x []float32) float64 {
	if f.trees == 0 || f.subsample < 2 {
		return 0.5
	}
	length, weight := f.walk(x)
	mean := length / float64(f.trees)
	if f.weights == nil {
		return math.Exp2(-mean / f.average[f.subsample])
	}
	return 1 / (1 + math.Exp(-f.margin(mean, weight)/4)) // at /4 float64 tells apart all z that the caps on weights allow
}

// Trees returns t, the number of trees.
func (f *Forest) Trees() int { return f.trees }

// Subsample returns ψ, the number of training rows each tree was grown from:
// less than was asked for where there were fewer rows.
func (f *Forest) Subsample() int { return f.subsample }

// Features returns the length of a row.
func (f *Forest) Features() int { return f.features }

// Weighed reports whether the leaves carry weights (see [Forest.Weigh]).
func (f *Forest) Weighed() bool { return f.weights != nil }

// Nodes returns the number of nodes, inner and leaves, of all trees.
func (f *Forest) Nodes() int { return max(0, len(f.nodes)-1) }

// averageOf is c(n), the mean path length of an unsuccessful search in a binary
// search tree of n rows (equation 1 of the paper), given h = H(n−1):
//
//	c(n) = 2H(n−1) − 2(n−1)/n,  c(n) = 0 for n ≤ 1
//
// H is the harmonic number, summed rather than taken as ln(n−1)+γ, which is
// wrong by a seventh at n = 2.
func averageOf(n int, h float64) float64 {
	if n <= 1 {
		return 0
	}
	return 2*h - 2*float64(n-1)/float64(n)
}

// averages returns c(0) … c(n).
func averages(n int) []float64 {
	c := make([]float64, n+1)
	h := 0.0
	for i := 2; i <= n; i++ {
		h += 1 / float64(i-1)
		c[i] = averageOf(i, h)
	}
	return c
}
