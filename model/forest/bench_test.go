// SPDX-License-Identifier: Apache-2.0

package forest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// The rows walked change from one call to the next: a branch predictor learns
// a single row by heart.
func BenchmarkPathLength(b *testing.B) {
	for _, features := range []int{6, 48} {
		rows := gaussianRows(4096, features, rand.New(rand.NewPCG(1, 2)))
		p := Params{Trees: 100, Subsample: 256}
		naive := growNaive(rows, p, rand.New(rand.NewPCG(3, 4)))
		flat := flatten(naive)
		f, err := Train(rows, p, rand.New(rand.NewPCG(3, 4)))
		require.NoError(b, err)
		for _, walk := range []struct {
			name       string
			pathLength func([]float32) float64
		}{
			{"naive", naive.pathLength},
			{"flat", flat.pathLength},
			{"fast", f.PathLength},
		} {
			b.Run(fmt.Sprintf("%s/features=%d", walk.name, features), func(b *testing.B) {
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					walk.pathLength(rows[i%len(rows)])
					i++
				}
			})
		}
	}
}

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
