// SPDX-License-Identifier: Apache-2.0

package forest

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// halves makes rows with two rare corners, of which only the one where feature 0 is large is harmful.
func halves(rng *rand.Rand, n int) (rows [][]float32, harmful []bool) {
	for i := range n {
		row := []float32{rng.Float32(), rng.Float32()}
		switch i % 10 {
		case 0:
			row[0] += 3
		case 1:
			row[1] += 3
		}
		rows, harmful = append(rows, row), append(harmful, i%10 == 0)
	}
	return rows, harmful
}

func weighed(t testing.TB) (plain, weighed *Forest) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	normal, _ := halves(rng, 2000)
	plain, err := Train(normal, Params{Trees: 50, Subsample: 128}, rng)
	require.NoError(t, err)
	rows, harmful := halves(rng, 1000)
	weighed, err = plain.Weigh(rows, harmful)
	require.NoError(t, err)
	return plain, weighed
}

func TestWeightsTellHarmfulFromRare(t *testing.T) {
	plain, weighed := weighed(t)
	harmful, rare, common := []float32{3.5, 0.5}, []float32{0.5, 3.5}, []float32{0.5, 0.5}
	assert.InDelta(t, plain.Anomaly(harmful), plain.Anomaly(rare), 0.1)
	assert.Greater(t, weighed.Anomaly(harmful), weighed.Anomaly(rare)+0.2)
	assert.Greater(t, weighed.Anomaly(harmful), weighed.Anomaly(common)+0.2)
	assert.Equal(t, plain.PathLength(rare), weighed.PathLength(rare), "weights leave path lengths alone")
	for _, x := range [][]float32{nil, {float32(math.NaN()), float32(math.Inf(1))}, {math.MaxFloat32, -math.MaxFloat32}} {
		a := weighed.Anomaly(x)
		assert.True(t, a >= 0 && a <= 1, "%v: %v", x, a)
	}
}

func TestWeightsRoundTrip(t *testing.T) {
	_, f := weighed(t)
	b, err := f.AppendBinary(nil)
	require.NoError(t, err)
	g, err := Decode(b)
	require.NoError(t, err)
	again, err := g.AppendBinary(nil)
	require.NoError(t, err)
	assert.Equal(t, b, again)
	assert.Equal(t, f.Anomaly([]float32{1, 2}), g.Anomaly([]float32{1, 2}))

	for name, bits := range map[string]uint32{"NaN": 0x7fc00000, "infinite": 0x7f800000, "large": math.Float32bits(33)} {
		bad := append([]byte(nil), b...)
		for i := range 4 {
			bad[len(bad)-4+i] = byte(bits >> (8 * i))
		}
		_, err := Decode(bad)
		assert.ErrorIs(t, err, ErrFormat, name)
	}
}

func TestWeighRefuses(t *testing.T) {
	f, _ := weighed(t)
	one := [][]float32{{1, 1}}
	_, err := f.Weigh(one, []bool{true, false})
	assert.Error(t, err, "slices of different lengths")
	_, err = f.Weigh(one, []bool{true})
	assert.Error(t, err, "one label only")
	_, err = new(Forest).Weigh([][]float32{{1}, {2}}, []bool{true, false})
	assert.Error(t, err, "no trees")
}

// TestShippedForestWalksLikeTheFlatOne: a forest with weights, all trees together, gives what one tree at a time gives.
func TestShippedForestWalksLikeTheFlatOne(t *testing.T) {
	f := shipped(t)
	flat := flattenWeighed(f)
	for _, x := range rowsAmongCuts(f, 4096, rand.New(rand.NewPCG(1, 2))) {
		length, weight := f.walk(x)
		flatLength, flatWeight := flat.walk(x)
		require.Equal(t, [2]float64{flatLength, flatWeight}, [2]float64{length, weight})
	}
}

// shipped reads the forest out of the embedded model's file, which package model, that imports this one, describes.
func shipped(tb testing.TB) *Forest {
	tb.Helper()
	file, err := os.ReadFile("../default.model")
	require.NoError(tb, err)
	rest := file[12:] // magic and format
	for range 3 {     // header, chains, rules
		rest = rest[4+binary.LittleEndian.Uint32(rest):]
	}
	f, err := Decode(rest[4:][:binary.LittleEndian.Uint32(rest)])
	require.NoError(tb, err)
	require.NotNil(tb, f.weights)
	return f
}

// rowsAmongCuts draws each feature from the thresholds at which the forest cuts it, and moves it a little.
func rowsAmongCuts(f *Forest, n int, rng *rand.Rand) [][]float32 {
	cuts := make([][]float32, f.features)
	for i, node := range f.nodes {
		if f.sizes[i] == 0 {
			feature := node.link >> linkShift
			cuts[feature] = append(cuts[feature], node.threshold)
		}
	}
	rows := make([][]float32, n)
	for r := range rows {
		for _, at := range cuts {
			rows[r] = append(rows[r], at[rng.IntN(len(at))]+rng.Float32()-0.5)
		}
	}
	return rows
}
