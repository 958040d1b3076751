// SPDX-License-Identifier: Apache-2.0

package forest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// A forest says how rare a row is, not whether what makes it rare matters. The
// published remedy is to keep the trees, grown without labels, and to learn
// from few labelled rows how much each leaf counts:
//
//	S. Das, W.-K. Wong, A. Fern, T. G. Dietterich, M. A. Siddiqui:
//	Incorporating Feedback into Tree-based Anomaly Detection, KDD 2017
//	Workshop on Interactive Data Exploration and Analytics.

const (
	weighPasses = 100
	weighRidge  = 1.0 / 30 // of the total importance: the weights explain what many rows show, not single ones
	maxWeight   = 32       // caps |weight| and |bias|
)

// Weigh returns f with leaf weights and a bias learned from labelled rows by
// logistic regression: they minimise the log-loss of the z of [Forest.Anomaly]
// plus a ridge on the weights, which so stay 0 where no labelled row falls.
// Both labels weigh the same in all. The two slices are parallel. The result
// shares f's trees.
func (f *Forest) Weigh(rows [][]float32, anomalous []bool) (*Forest, error) {
	if len(rows) != len(anomalous) {
		return nil, fmt.Errorf("forest: %d rows and %d labels (want as many of each)", len(rows), len(anomalous))
	}
	var total [2]float64
	for _, a := range anomalous {
		total[index(a)]++
	}
	if !(total[0] > 0 && total[1] > 0) {
		return nil, errors.New("forest: weights need rows of both labels, of importance greater than 0")
	}
	if f.trees == 0 || f.subsample < 2 {
		return nil, errors.New("forest: no cuts to weigh")
	}
	n := float64(len(rows))
	r := regression{f: f, weights: make([]float64, len(f.nodes)), ridge: n * weighRidge}
	for i, x := range rows {
		leaves := f.leaves(x)
		base := f.average[f.subsample]
		for _, leaf := range leaves {
			base -= f.length(leaf) / float64(f.trees)
		}
		label := index(anomalous[i])
		r.samples = append(r.samples, labelled{leaves, base, float64(label), n / (2 * total[label])})
	}
	r.run()
	g := *f
	g.bias = float32(clamp(r.bias))
	g.weights = make([]float32, len(f.nodes))
	for i, w := range r.weights {
		g.weights[i] = float32(clamp(w))
	}
	return &g, nil
}

func index(anomalous bool) int {
	if anomalous {
		return 1
	}
	return 0
}

func clamp(w float64) float64 { return min(max(w, -maxWeight), maxWeight) }

// leaves returns the leaf of x in each tree.
func (f *Forest) leaves(x []float32) []uint32 {
	var row [maxFeatures]float32
	copy(row[:f.features], x)
	leaves := make([]uint32, f.trees)
	for t := range leaves {
		g := &f.groups[t/lanes]
		at := g.root[t%lanes]
		for range g.height {
			at = f.nodes[at].next(&row)
		}
		leaves[t] = at
	}
	return leaves
}

// labelled is one row of the regression.
type labelled struct {
	leaves     []uint32
	base       float64 // c(ψ) − E[h]
	label      float64 // 1 if anomalous
	importance float64
}

// regression is accelerated gradient descent (Nesterov 1983), each step scaled
// by a bound of the curvature: a row's loss curves by at most importance/4 in
// each of its weights, and the weights of all trees may move together.
type regression struct {
	f       *Forest
	samples []labelled
	weights []float64 // by node
	bias    float64
	ridge   float64
}

func (r *regression) run() {
	curvature, all := r.curvature()
	ahead, aheadBias := append([]float64(nil), r.weights...), r.bias // where momentum leads
	gradient := make([]float64, len(r.weights))
	for pass := range weighPasses {
		clear(gradient)
		bias := r.gradient(gradient, ahead, aheadBias)
		momentum := float64(pass) / float64(pass+3)
		next := aheadBias + bias/all
		aheadBias, r.bias = next+momentum*(next-r.bias), next
		for i, c := range curvature {
			if c > 0 {
				next := ahead[i] + (gradient[i]-r.ridge*ahead[i])/(c+r.ridge)
				ahead[i], r.weights[i] = next+momentum*(next-r.weights[i]), next
			}
		}
	}
}

// curvature bounds the second derivative of the loss in each weight and in the
// bias.
func (r *regression) curvature() (weights []float64, bias float64) {
	weights = make([]float64, len(r.weights))
	for _, s := range r.samples {
		c := s.importance / 4 * float64(len(s.leaves)+1)
		for _, leaf := range s.leaves {
			weights[leaf] += c
		}
		bias += c
	}
	return weights, bias
}

// gradient adds the direction of falling loss to dst and returns the bias's.
func (r *regression) gradient(dst, weights []float64, bias float64) (dstBias float64) {
	for _, s := range r.samples {
		z := bias + s.base
		for _, leaf := range s.leaves {
			z += weights[leaf]
		}
		g := s.importance * (s.label - 1/(1+math.Exp(-z)))
		dstBias += g
		for _, leaf := range s.leaves {
			dst[leaf] += g
		}
	}
	return dstBias
}

// appendWeights appends bias and weights, nothing without weights.
func (f *Forest) appendWeights(b []byte) []byte {
	if f.weights == nil {
		return b
	}
	b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f.bias))
	for i := 1; i < len(f.nodes); i++ {
		if f.sizes[i] > 0 {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f.weights[i]))
		}
	}
	return b
}

// readWeights reads what appendWeights wrote; b must hold nothing else.
func (f *Forest) readWeights(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	leaves := 0
	for _, size := range f.sizes[1:] {
		leaves += index(size > 0)
	}
	if len(b) != 4*(leaves+1) {
		return refuse("%d bytes after the trees (want none, or %d for a bias and %d weights)", len(b), 4*(leaves+1), leaves)
	}
	next := func() float32 {
		w := math.Float32frombits(binary.LittleEndian.Uint32(b))
		b = b[4:]
		return w
	}
	f.bias, f.weights = next(), make([]float32, len(f.nodes))
	for i := 1; i < len(f.nodes); i++ {
		if f.sizes[i] > 0 {
			f.weights[i] = next()
		}
		if !(f.weights[i] >= -maxWeight && f.weights[i] <= maxWeight) || !(f.bias >= -maxWeight && f.bias <= maxWeight) { // also for NaN
			return refuse("node %d: weight %v, bias %v (want −%d to %d)", i, f.weights[i], f.bias, maxWeight, maxWeight)
		}
	}
	return nil
}
