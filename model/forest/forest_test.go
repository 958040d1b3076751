// SPDX-License-Identifier: Apache-2.0

package forest

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	nan = float32(math.NaN())
	inf = float32(math.Inf(1))
)

func Example() {
	rng := rand.New(rand.NewPCG(1, 1))
	var rows [][]float32
	for range 1000 {
		rows = append(rows, []float32{float32(rng.NormFloat64()), float32(rng.NormFloat64())})
	}
	f, err := Train(rows, Params{Trees: 100, Subsample: 256}, rng)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("in the middle %.2f\n", f.Anomaly([]float32{0, 0}))
	fmt.Printf("at the edge   %.2f\n", f.Anomaly([]float32{2, -2}))
	fmt.Printf("far away      %.2f\n", f.Anomaly([]float32{9, 9}))
	// Output:
	// in the middle 0.40
	// at the edge   0.63
	// far away      0.76
}

// averagePathLength is c(n), summed anew for each n.
func averagePathLength(n int) float64 {
	h := 0.0
	for i := 1; i < n; i++ {
		h += 1 / float64(i)
	}
	return averageOf(n, h)
}

func TestAveragePathLength(t *testing.T) {
	for _, row := range []struct {
		n    int
		want float64
	}{
		{-1, 0},
		{0, 0},
		{1, 0},
		{2, 1},
		{3, 5.0 / 3},              // 2(1+1/2) − 4/3
		{4, 13.0 / 6},             // 2(1+1/2+1/3) − 6/4
		{256, 10.248689925634562}, // python: float(2*sum(Fraction(1, i) for i in range(1, 256)) - Fraction(510, 256))
	} {
		t.Run(fmt.Sprint(row.n), func(t *testing.T) {
			assert.InDelta(t, row.want, averagePathLength(row.n), 1e-13)
		})
	}
	for n, c := range averages(1000) {
		assert.Equal(t, averagePathLength(n), c, "n = %d", n)
	}
}

// equal says that f and the naive forest agree on x to the last bit, and that
// the score is one.
func equal(t *testing.T, f *Forest, naive naiveForest, x []float32) {
	t.Helper()
	got, want := f.PathLength(x), naive.pathLength(x)
	require.Equal(t, math.Float64bits(want), math.Float64bits(got), "path length %v, naive %v", got, want)
	score := f.Anomaly(x)
	require.True(t, score > 0 && score <= 1, "score %v", score)
}

func TestPathLengthEqualsNaive(t *testing.T) {
	for _, row := range []struct {
		name              string
		rows, features    int
		p                 Params
		copies, constants int // each row comes so often; so many features are 7
	}{
		{"the paper's parameters", 1000, 6, Params{100, 256}, 1, 0},
		{"trees one short of a group", 500, 5, Params{7, 64}, 1, 0},
		{"trees one more than a group", 500, 5, Params{9, 64}, 1, 0},
		{"subsample not a power of two", 500, 3, Params{20, 100}, 1, 0},
		{"fewer rows than the subsample", 37, 4, Params{20, 256}, 1, 0},
		{"most features", 300, 256, Params{20, 64}, 1, 0},
		{"duplicate rows", 10, 4, Params{20, 64}, 12, 0},
		{"constant features", 300, 12, Params{20, 64}, 1, 10},
		{"every feature constant", 300, 3, Params{20, 64}, 1, 3},
		{"two rows", 2, 2, Params{20, 256}, 1, 0},
		{"one row", 1, 2, Params{20, 256}, 1, 0},
		{"subsample of one", 10, 2, Params{20, 1}, 1, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			rows := gaussianRows(row.rows, row.features, rand.New(rand.NewPCG(1, 2)))
			for _, r := range rows {
				for i := range row.constants {
					r[i] = 7
				}
			}
			rows = slices.Repeat(rows, row.copies)
			f, err := Train(rows, row.p, rand.New(rand.NewPCG(3, 4)))
			require.NoError(t, err)
			naive := growNaive(rows, row.p, rand.New(rand.NewPCG(3, 4)))
			flat := flatten(naive)

			assert.Equal(t, row.p.Trees, f.Trees())
			assert.Equal(t, min(row.p.Subsample, len(rows)), f.Subsample())
			assert.Equal(t, row.features, f.Features())
			assert.Equal(t, len(flat.nodes), f.Nodes())

			rng := rand.New(rand.NewPCG(5, 6))
			for _, x := range append(gaussianRows(200, row.features, rng), rows[:min(200, len(rows))]...) {
				equal(t, f, naive, x)
				assert.Equal(t, flat.pathLength(x), f.PathLength(x))
				x = slices.Clone(x)
				x[rng.IntN(len(x))] = []float32{nan, inf, -inf, math.MaxFloat32}[rng.IntN(4)]
				equal(t, f, naive, x[:rng.IntN(len(x)+1)])
				equal(t, f, naive, append(x, nan, 1))
			}
		})
	}
}

func TestMissingGoesLeft(t *testing.T) {
	rows := gaussianRows(300, 4, rand.New(rand.NewPCG(1, 2)))
	f, err := Train(rows, Params{Trees: 50, Subsample: 64}, rand.New(rand.NewPCG(3, 4)))
	require.NoError(t, err)
	want := f.PathLength([]float32{1, 2, -inf, -inf})
	assert.Equal(t, want, f.PathLength([]float32{1, 2, nan, nan}))
	assert.Equal(t, want, f.PathLength([]float32{1, 2, nan}))
	assert.Equal(t, want, f.PathLength([]float32{1, 2}))
	assert.Equal(t, f.PathLength([]float32{-inf, -inf, -inf, -inf}), f.PathLength(nil))
}

func TestHalfWhereRowsCannotBeToldApart(t *testing.T) {
	row := []float32{1, 2}
	for name, f := range map[string]*Forest{
		"zero forest":      {},
		"one row":          train(t, [][]float32{row}, Params{10, 256}),
		"subsample of one": train(t, [][]float32{row, {3, 4}}, Params{10, 1}),
		"equal rows":       train(t, slices.Repeat([][]float32{row}, 50), Params{10, 20}),
	} {
		t.Run(name, func(t *testing.T) {
			for _, x := range [][]float32{nil, {nan, nan}, row, {-9, inf}} {
				assert.InDelta(t, 0.5, f.Anomaly(x), 1e-15)
				assert.InDelta(t, averagePathLength(f.Subsample()), f.PathLength(x), 1e-13)
			}
		})
	}
}

func train(t *testing.T, rows [][]float32, p Params) *Forest {
	t.Helper()
	f, err := Train(rows, p, rand.New(rand.NewPCG(3, 4)))
	require.NoError(t, err)
	return f
}

func TestScoringDoesNotAllocate(t *testing.T) {
	rows := gaussianRows(300, 4, rand.New(rand.NewPCG(1, 2)))
	f := train(t, rows, Params{100, 64})
	assert.Zero(t, testing.AllocsPerRun(100, func() { f.Anomaly(rows[0]) }))
}

func TestTrainIsDeterministic(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	rows := make([][]float32, 1000)
	for r := range rows {
		rows[r] = []float32{rng.Float32(), rng.Float32(), rng.Float32(), float32(rng.IntN(3))}
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, procs := range []int{1, 2, 7} {
		runtime.GOMAXPROCS(procs)
		b, err := train(t, rows, Params{50, 128}).AppendBinary(nil)
		require.NoError(t, err)
		// Golden: a change makes other forests of old seeds.
		assert.Equal(t, uint32(0xbaf4d7c6), crc32.ChecksumIEEE(b), "GOMAXPROCS %d", procs)
	}
	other, err := Train(rows, Params{50, 128}, rand.New(rand.NewPCG(3, 5)))
	require.NoError(t, err)
	assert.NotEqual(t, train(t, rows, Params{50, 128}), other)
}

func TestThresholdLeavesRowsOnBothSides(t *testing.T) {
	almostOne := math.Nextafter(1, 0)
	for _, row := range []struct{ lo, hi float32 }{
		{0, 1},
		{1, math.Nextafter32(1, 2)},
		{16777216, 16777218},
		{0, math.SmallestNonzeroFloat32},
		{-math.SmallestNonzeroFloat32, 0},
		{-math.MaxFloat32, math.MaxFloat32},
		{math.Nextafter32(math.MaxFloat32, 0), math.MaxFloat32},
	} {
		for _, u := range []float64{0, 0.25, 0.5, 0.75, almostOne} {
			v := between(row.lo, row.hi, u)
			assert.True(t, row.lo <= v && v < row.hi, "between(%v, %v, %v) = %v", row.lo, row.hi, u, v)
		}
	}
}

func TestTrainRefuses(t *testing.T) {
	good := [][]float32{{1, 2}, {3, 4}}
	for _, row := range []struct {
		name string
		rows [][]float32
		p    Params
		want string
	}{
		{"no rows", nil, Params{100, 256}, "forest: no rows to train on"},
		{"no features", [][]float32{{}}, Params{100, 256}, "forest: rows of 0 features (want 1 to 256)"},
		{"too many features", [][]float32{make([]float32, 257)}, Params{100, 256}, "forest: rows of 257 features (want 1 to 256)"},
		{"no trees", good, Params{0, 256}, "forest: 0 trees (want 1 to 4096)"},
		{"too many trees", good, Params{4097, 256}, "forest: 4097 trees (want 1 to 4096)"},
		{"no subsample", good, Params{100, 0}, "forest: subsample of 0 (want 1 to 1048576)"},
		{"too large a subsample", good, Params{100, 1<<20 + 1}, "forest: subsample of 1048577 (want 1 to 1048576)"},
		{"too many nodes", slices.Repeat(good, 512), Params{4096, 1024}, "forest: 4096 trees of 1024 rows may have 8384512 nodes (want at most 4194304)"},
		{"short row", [][]float32{{1, 2}, {3}}, Params{100, 256}, "forest: row 1 has 1 features (want 2)"},
		{"long row", [][]float32{{1, 2}, {3, 4, 5}}, Params{100, 256}, "forest: row 1 has 3 features (want 2)"},
		{"NaN", [][]float32{{1, 2}, {3, nan}}, Params{100, 256}, "forest: row 1: feature 1 is NaN (want a finite number)"},
		{"infinity", [][]float32{{1, 2}, {-inf, 4}}, Params{100, 256}, "forest: row 1: feature 0 is -Inf (want a finite number)"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := Train(row.rows, row.p, rand.New(rand.NewPCG(1, 2)))
			assert.EqualError(t, err, row.want)
		})
	}
	_, err := Train(good, Params{100, 256}, nil)
	assert.EqualError(t, err, "forest: no random source")
}

// FuzzPathLength trains on whatever finite numbers the fuzzer comes up with
// and walks any row at all.
func FuzzPathLength(f *testing.F) {
	f.Add(uint64(1), byte(2), byte(9), byte(8), floatBytes(1, 2, 3, 4, 5, 6, 7, 8), floatBytes(3, nan))
	f.Add(uint64(2), byte(1), byte(20), byte(255), floatBytes(0, 0, 0, 1, -inf, math.MaxFloat32, -math.MaxFloat32), floatBytes(inf))
	f.Add(uint64(3), byte(3), byte(1), byte(0), floatBytes(1, 1, 1, 1, 1, 1), []byte{})
	f.Fuzz(func(t *testing.T, seed uint64, features, trees, psi byte, training, row []byte) {
		width := 1 + int(features)
		var rows [][]float32
		for values := range slices.Chunk(floatsOf(training), width) {
			row := make([]float32, width)
			for i, v := range values {
				if v-v == 0 { // finite
					row[i] = v
				}
			}
			rows = append(rows, row)
		}
		if len(rows) == 0 {
			return
		}
		p := Params{Trees: 1 + int(trees)%40, Subsample: 1 + int(psi)}
		forest, err := Train(rows, p, rand.New(rand.NewPCG(seed, 0)))
		require.NoError(t, err)
		naive := growNaive(rows, p, rand.New(rand.NewPCG(seed, 0)))
		equal(t, forest, naive, floatsOf(row))
		for _, x := range rows[:min(20, len(rows))] {
			equal(t, forest, naive, x)
		}
	})
}

func floatBytes(values ...float32) (b []byte) {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

func floatsOf(b []byte) (values []float32) {
	for ; len(b) >= 4; b = b[4:] {
		values = append(values, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return values
}
