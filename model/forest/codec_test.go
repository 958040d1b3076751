// SPDX-License-Identifier: Apache-2.0

package forest

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// golden is a forest of two trees written by hand:
//
//	x₁ > 1.5 ? (x₀ > −2 ? 1 row : 1 row) : 2 rows
//	4 rows
func golden() []byte {
	return []byte{
		2, 0, // features
		2, 0, // trees
		4, 0, 0, 0, // ψ
		6, 0, 0, 0, // nodes
		1, 0, 0x00, 0x00, 0xc0, 0x3f, // x₁ > 1.5
		0xff, 0xff, 2, 0, 0, 0, // left: 2 rows
		0, 0, 0x00, 0x00, 0x00, 0xc0, // right: x₀ > −2
		0xff, 0xff, 1, 0, 0, 0, // left of the right: 1 row
		0xff, 0xff, 1, 0, 0, 0, // right of the right: 1 row
		0xff, 0xff, 4, 0, 0, 0, // second tree: 4 rows
	}
}

func TestGolden(t *testing.T) {
	f, err := Decode(golden())
	require.NoError(t, err)
	assert.Equal(t, []int{2, 2, 4, 6}, []int{f.Trees(), f.Features(), f.Subsample(), f.Nodes()})
	c4 := averagePathLength(4)
	assert.Equal(t, (1+1+c4)/2, f.PathLength([]float32{0, 1.5}), "equal goes left, to 1 cut and c(2)")
	assert.Equal(t, (2+c4)/2, f.PathLength([]float32{0, 1.6}), "2 cuts and c(1)")
	assert.InDelta(t, math.Pow(2, -(2+c4)/2/c4), f.Anomaly([]float32{0, 1.6}), 1e-15)

	b, err := f.AppendBinary([]byte("before"))
	require.NoError(t, err)
	assert.Equal(t, append([]byte("before"), golden()...), b)
}

func TestRoundTrip(t *testing.T) {
	for _, p := range []Params{{1, 1}, {7, 2}, {100, 256}} {
		f := train(t, gaussianRows(1000, 48, rand.New(rand.NewPCG(1, 2))), p)
		b, err := f.AppendBinary(nil)
		require.NoError(t, err)
		back, err := Decode(b)
		require.NoError(t, err)
		assert.Equal(t, f, back)
	}
	_, err := new(Forest).AppendBinary(nil)
	assert.EqualError(t, err, "forest: no trees to encode")
}

// chain is one tree that cuts off one row at a time.
func chain(cuts int) []byte {
	b := appendHeader(nil, 1, 1, cuts+1, 2*cuts+1)
	for range cuts {
		b = appendRecord(b, 0, math.Float32bits(1))
		b = appendRecord(b, leafMark, 1)
	}
	return appendRecord(b, leafMark, 1)
}

func TestDecodeAcceptsTheDeepest(t *testing.T) {
	f, err := Decode(chain(64))
	require.NoError(t, err)
	assert.Equal(t, 64.0, f.PathLength([]float32{2}))
	assert.Equal(t, 1.0, f.PathLength([]float32{1}))
}

func TestDecodeRefuses(t *testing.T) {
	patch := func(at int, with ...byte) []byte {
		b := golden()
		copy(b[at:], with)
		return b
	}
	for _, row := range []struct {
		name string
		b    []byte
		want string
	}{
		{"nothing", nil, "0 bytes are too few for a header of 12"},
		{"half a header", golden()[:11], "11 bytes are too few for a header of 12"},
		{"no features", patch(0, 0), "0 features (want 1 to 256)"},
		{"too many features", patch(0, 1, 1), "257 features (want 1 to 256)"},
		{"no trees", patch(2, 0), "0 trees (want 1 to 4096)"},
		{"too many trees", patch(2, 1, 16), "4097 trees (want 1 to 4096)"},
		{"no subsample", patch(4, 0), "subsample of 0 (want 1 to 1048576)"},
		{"too large a subsample", patch(4, 1, 0, 16), "subsample of 1048577 (want 1 to 1048576)"},
		{"fewer nodes than trees", patch(8, 1), "1 nodes (want 2 to 4194304)"},
		{"too many nodes", patch(8, 1, 0, 64), "4194305 nodes (want 2 to 4194304)"},
		{"nodes that are not there", patch(8, 0, 0, 64), "36 bytes for 4194304 nodes (want 25165824)"},
		{"trailing byte", append(golden(), 0), "1 bytes after the trees (want none, or 20 for a bias and 4 weights)"},
		{"trailing node", patch(2, 1), "1 nodes after the last tree"},
		{"a tree too few", patch(2, 3), "tree 2: 1 nodes are missing"},
		{"children missing", patch(42, 0, 0), "tree 1: 2 nodes are missing"},
		{"feature out of range", patch(12, 2), "tree 0: node 0: feature 2 of 2"},
		{"threshold NaN", patch(14, 0, 0, 0xc0, 0x7f), "tree 0: node 0: threshold NaN"},
		{"threshold infinite", patch(26, 0, 0, 0x80, 0xff), "tree 0: node 2: threshold -Inf"},
		{"empty leaf", patch(20, 0), "tree 0: node 1: empty leaf"},
		{"rows lost", patch(44, 3), "tree 1: 3 rows in the leaves (want 4)"},
		{"rows gained", patch(20, 0xff, 0xff, 0xff, 0xff), "tree 0: 4294967297 rows in the leaves (want 4)"},
		{"too deep", chain(65), "tree 0: deeper than 64 cuts"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Decode(row.b)
			runtime.ReadMemStats(&after)
			assert.ErrorIs(t, err, ErrFormat)
			assert.EqualError(t, err, "forest: not a valid forest: "+row.want)
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<10), "bytes allocated")
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(golden())
	f.Add(golden()[:30])
	f.Add(append(golden(), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		forest, err := Decode(b)
		if err != nil {
			require.ErrorIs(t, err, ErrFormat)
			return
		}
		again, err := forest.AppendBinary(nil)
		require.NoError(t, err)
		require.Equal(t, b, again)
		for _, x := range [][]float32{nil, {nan}, {inf, -inf}, make([]float32, 300)} {
			score := forest.Anomaly(x)
			require.True(t, score > 0 && score <= 1, "score %v", score)
		}
	})
}
