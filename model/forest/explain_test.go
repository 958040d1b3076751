// SPDX-License-Identifier: Apache-2.0

package forest

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// worth is the game of Explain by its definition: the margin to be expected when only the features in known are x's.
func worth(f *Forest, x []float32, known uint) float64 {
	z := averagePathLength(f.subsample) + float64(f.bias)
	var expect func(at uint32) (value, rows float64)
	expect = func(at uint32) (value, rows float64) {
		n := f.nodes[at]
		if f.sizes[at] > 0 {
			value = -f.length(at) / float64(f.trees)
			if f.weights != nil {
				value += float64(f.weights[at])
			}
			return value, float64(f.sizes[at])
		}
		feature, child := n.link>>linkShift, n.link&linkMask
		left, l := expect(child)
		right, r := expect(child + 1)
		switch {
		case known>>feature&1 == 0:
			return (left*l + right*r) / (l + r), l + r
		case int(feature) < len(x) && x[feature] > n.threshold:
			return right, l + r
		}
		return left, l + r
	}
	for t := range f.trees {
		value, _ := expect(f.groups[t/lanes].root[t%lanes])
		z += value
	}
	return z
}

// shapleyOf is Shapley's formula over all sets of features.
func shapleyOf(f *Forest, x []float32, feature int) (value float64) {
	n := f.features
	for set := range uint(1) << n {
		if set>>feature&1 == 1 {
			continue
		}
		size := bits.OnesCount(set)
		weight := math.Gamma(float64(size+1)) * math.Gamma(float64(n-size)) / math.Gamma(float64(n+1))
		value += weight * (worth(f, x, set|1<<feature) - worth(f, x, set))
	}
	return value
}

// anomalyOf squashes a margin as the documentation of Anomaly says.
func anomalyOf(f *Forest, margin float64) float64 {
	if f.weights != nil {
		return 1 / (1 + math.Exp(-margin/4))
	}
	c := averagePathLength(f.subsample)
	return math.Exp2(-(c - margin) / c)
}

func TestExplainIsShapley(t *testing.T) {
	for features := 1; features <= 5; features++ {
		t.Run(fmt.Sprint(features), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(features)))
			rows := gaussianRows(200, features, rng)
			plain := train(t, rows, Params{9, 32})
			harmful := make([]bool, len(rows))
			for i, row := range rows {
				harmful[i] = row[0] > 1
			}
			weighed, err := plain.Weigh(rows, harmful)
			require.NoError(t, err)
			strange := [][]float32{nil, {nan}, {inf, -inf}, {math.MaxFloat32}}
			for _, f := range []*Forest{plain, weighed} {
				for _, x := range append(gaussianRows(10, features, rng), strange...) {
					e := f.Explain(x)
					assert.InDelta(t, worth(f, x, 0), e.Base, 1e-9)
					require.Len(t, e.Features, features)
					for i, got := range e.Features {
						assert.InDelta(t, shapleyOf(f, x, i), got, 1e-9, "feature %d of %v", i, x)
					}
				}
			}
		})
	}
}

// additive says that an explanation adds up to the forest's own answer.
func additive(t *testing.T, f *Forest, x []float32) {
	t.Helper()
	e := f.Explain(x)
	sum := e.Base
	for _, v := range e.Features {
		sum += v
	}
	assert.InDelta(t, f.Margin(x), sum, 1e-9)
	assert.InDelta(t, f.Anomaly(x), anomalyOf(f, sum), 1e-9)
}

func TestExplanationAddsUpToTheAnomaly(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, features := range []int{1, 3, 26, 256} {
		rows := gaussianRows(600, features, rng)
		f := train(t, slices.Concat(rows, rows[:50], rows[:50]), Params{20, 256})
		for _, x := range append(gaussianRows(20, features, rng), nil, []float32{nan, inf}) {
			additive(t, f, x)
		}
	}
	_, f := weighed(t)
	for range 50 {
		additive(t, f, []float32{4 * rng.Float32(), 4 * rng.Float32()})
	}
}

// The mean of what features add is 0 over the rows that a tree was grown from: Base is their mean margin.
func TestBaseIsTheMeanOfTheTrainingRows(t *testing.T) {
	rows := gaussianRows(64, 3, rand.New(rand.NewPCG(1, 2)))
	f := train(t, rows, Params{30, len(rows)}) // each tree sees all rows
	mean := 0.0
	for _, row := range rows {
		mean += f.Margin(row) / float64(len(rows))
	}
	assert.InDelta(t, mean, f.Explain(rows[0]).Base, 1e-9)
}

func TestExplainWhereRowsCannotBeToldApart(t *testing.T) {
	assert.Equal(t, Explanation{Features: []float64{}}, new(Forest).Explain([]float32{1}))
	assert.Zero(t, new(Forest).Margin([]float32{1}))
	one := train(t, [][]float32{{1, 2}}, Params{10, 256})
	assert.Equal(t, Explanation{Features: []float64{0, 0}}, one.Explain([]float32{1, 2}))
	assert.Zero(t, one.Margin([]float32{1, 2}))
	equal := train(t, slices.Repeat([][]float32{{1, 2}}, 50), Params{10, 20})
	additive(t, equal, []float32{3, 4})
}
