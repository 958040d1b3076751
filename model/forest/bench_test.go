// SPDX-License-Identifier: Apache-2.0

package forest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkPathLength holds the fast walk of a row against the pointers of the oracle and against a straightforward flat
// walk. The rows walked change from one call to the next: a branch predictor learns a single row by heart.
func BenchmarkPathLength(b *testing.B) {
	for _, features := range []int{6, 48} {
		rows := gaussianRows(4096, features, rand.New(rand.NewPCG(1, 2)))
		p := Params{Trees: 100, Subsample: 256}
		naive := growNaive(rows, p, rand.New(rand.NewPCG(3, 4)))
		flat := flatten(naive)
		f, err := Train(rows, p, rand.New(rand.NewPCG(3, 4)))
		require.NoError(b, err)
		prefix := fmt.Sprintf("features=%d/walk=", features)
		each(b, prefix+"naive", rows, naive.pathLength)
		each(b, prefix+"flat", rows, flat.pathLength)
		each(b, prefix+"fast", rows, f.PathLength)
	}
}

// BenchmarkShipped does the same with the embedded model's forest, whose leaves have weights, on rows that lie among its
// cuts.
func BenchmarkShipped(b *testing.B) {
	f := shipped(b)
	flat := flattenWeighed(f)
	rows := rowsAmongCuts(f, 4096, rand.New(rand.NewPCG(1, 2)))
	each(b, "walk=flat", rows, func(x []float32) float64 { length, weight := flat.walk(x); return length + weight })
	each(b, "walk=fast", rows, func(x []float32) float64 { length, weight := f.walk(x); return length + weight })
}

// BenchmarkTrees shows how the fast walk grows with the number of trees.
func BenchmarkTrees(b *testing.B) {
	rows := gaussianRows(4096, 6, rand.New(rand.NewPCG(1, 2)))
	for _, trees := range []int{25, 50, 100, 200, 400} {
		f, err := Train(rows, Params{Trees: trees, Subsample: 256}, rand.New(rand.NewPCG(3, 4)))
		require.NoError(b, err)
		each(b, fmt.Sprintf("trees=%d", trees), rows, f.PathLength)
	}
}

func each(b *testing.B, name string, rows [][]float32, walk func([]float32) float64) {
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			walk(rows[i%len(rows)])
			i++
		}
	})
}

// BenchmarkTrain grows a forest on a million vectors, on all cores.
func BenchmarkTrain(b *testing.B) {
	rows := gaussianRows(1_000_000, 6, rand.New(rand.NewPCG(1, 2)))
	b.ReportAllocs()
	for b.Loop() {
		_, err := Train(rows, Params{Trees: 100, Subsample: 256}, rand.New(rand.NewPCG(3, 4)))
		require.NoError(b, err)
	}
}

func gaussianRows(n, features int, rng *rand.Rand) [][]float32 {
	rows := make([][]float32, n)
	for r := range rows {
		rows[r] = make([]float32, features)
		for i := range rows[r] {
			rows[r][i] = float32(rng.NormFloat64())
		}
	}
	return rows
}
