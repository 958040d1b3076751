// SPDX-License-Identifier: Apache-2.0

package forest

import "slices"

// Explanation takes the margin of a row apart: Base plus the sum of Features
// is [Forest.Margin], but for rounding. All are in the margin's unit.
type Explanation struct {
	Base     float64   // mean margin of the rows that the trees were grown from
	Features []float64 // what each feature of the row adds to it, by index
}

// Margin returns z, of which [Forest.Anomaly] is a rising function: with leaf
// weights the log-odds of an anomalous row in nats, at the balance of labels
// that the weights were learned with; without them c(ψ) − E[h(x)], how many
// cuts earlier than an average row x stands alone. A forest that cannot tell
// rows apart has the margin 0.
func (f *Forest) Margin(x []float32) float64 {
	if f.trees == 0 || f.subsample < 2 {
		return 0
	}
	length, weight := f.walk(x)
	return f.margin(length/float64(f.trees), weight)
}

// margin is z of a mean path length and a sum of weights.
func (f *Forest) margin(length, weight float64) float64 {
	return float64(f.bias) + f.average[f.subsample] - length + weight
}

// Explain credits the margin of the row x to its features by their Shapley
// values in the game of
//
//	S. M. Lundberg, G. G. Erion, S.-I. Lee: Consistent Individualized Feature
//	Attribution for Tree Ensembles, 2018 (arXiv:1802.03888):
//
// a set of features is worth the margin that is to be expected when they are
// as in x, and a cut of another feature sends its share of the training rows
// to either side. The values are exact. They are added up leaf by leaf: in
// one leaf, the game is a product over the features that were cut on the way
// there. Time is the number of nodes times the cube of the features cut on a
// way, at most.
func (f *Forest) Explain(x []float32) Explanation {
	e := Explanation{Features: make([]float64, f.features)}
	if f.trees == 0 || f.subsample < 2 {
		return e
	}
	s := shapley{forest: f, row: f.row(x), rows: f.rows(), out: &e}
	e.Base = f.margin(0, 0)
	for t := range f.trees {
		s.descend(f.groups[t/lanes].root[t%lanes], nil)
	}
	return e
}

// rows returns, by node, how many training rows came there.
func (f *Forest) rows() []uint64 {
	rows := make([]uint64, len(f.nodes))
	for i := len(f.nodes) - 1; i > 0; i-- { // children stand behind their parent
		if rows[i] = uint64(f.sizes[i]); rows[i] == 0 {
			child := f.nodes[i].link & linkMask
			rows[i] = rows[child] + rows[child+1]
		}
	}
	return rows
}

// shapley walks the trees for one row.
type shapley struct {
	forest *Forest
	row    [maxFeatures]float32
	rows   []uint64
	out    *Explanation
}

// step is all the cuts of one feature on the way to a node.
type step struct {
	feature int
	taken   float64 // 1 if the row goes that way at each of them, else 0
	share   float64 // of the training rows, those that do
}

func (s *shapley) descend(at uint32, way []step) {
	n := s.forest.nodes[at]
	if s.forest.sizes[at] > 0 {
		s.leaf(at, way)
		return
	}
	feature, goes := int(n.link>>linkShift), n.next(&s.row)
	for child := n.link & linkMask; child <= n.link&linkMask+1; child++ {
		next := slices.Clone(way)
		i := slices.IndexFunc(next, func(s step) bool { return s.feature == feature })
		if i < 0 {
			i, next = len(next), append(next, step{feature, 1, 1})
		}
		next[i].share *= float64(s.rows[child]) / float64(s.rows[at])
		if child != goes {
			next[i].taken = 0
		}
		s.descend(child, next)
	}
}

// leaf adds the game of one leaf: a set of features is worth the leaf's value
// times the row's steps of the set times the shares of the other steps.
func (s *shapley) leaf(at uint32, way []step) {
	value := -s.forest.length(at) / float64(s.forest.trees)
	if s.forest.weights != nil {
		value += float64(s.forest.weights[at])
	}
	mean := value
	for i, step := range way {
		mean *= step.share
		s.out.Features[step.feature] += value * (step.taken - step.share) * others(way, i)
	}
	s.out.Base += mean
}

// others is the mean worth of the sets of steps without step i, in the
// weights of Shapley: Σ |S|!(m−1−|S|)!/m! · Π taken in S · Π share outside.
func others(way []step, i int) float64 {
	m := len(way)
	worth := make([]float64, m) // by size of the set, summed over the sets
	worth[0] = 1
	for j, s := range way {
		if j == i {
			continue
		}
		for k := m - 1; k > 0; k-- {
			worth[k] = worth[k]*s.share + worth[k-1]*s.taken
		}
		worth[0] *= s.share
	}
	sum, weight := 0.0, 1/float64(m)
	for k, w := range worth {
		sum += weight * w
		weight *= float64(k+1) / float64(m-1-k) // infinite after the last set
	}
	return sum
}
