// SPDX-License-Identifier: Apache-2.0

package forest

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAgreesWithScikitLearn holds the detection quality against that of
// another implementation. testdata/sklearn_auc.py made the figures.
func TestAgreesWithScikitLearn(t *testing.T) {
	b, err := os.ReadFile("testdata/sklearn.json")
	require.NoError(t, err)
	var sklearn struct {
		Rows, Features int
		CRC32          uint32
		AUC            []float64
		MeanAUC        float64 `json:"mean_auc"`
	}
	require.NoError(t, json.Unmarshal(b, &sklearn))

	rows, anomalous := sklearnRows(sklearn.Rows, sklearn.Features)
	var raw []byte
	for _, row := range rows {
		for _, v := range row {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
	}
	require.Equal(t, sklearn.CRC32, crc32.ChecksumIEEE(raw), "not the rows the script generates")

	mean := 0.0
	for seed := range sklearn.AUC {
		f, err := Train(rows, Params{Trees: 100, Subsample: 256}, rand.New(rand.NewPCG(uint64(seed), 0)))
		require.NoError(t, err)
		scores := make([]float64, len(rows))
		for r, row := range rows {
			scores[r] = f.Anomaly(row)
		}
		mean += rocAUC(scores, anomalous) / float64(len(sklearn.AUC))
	}
	t.Logf("mean ROC AUC %.6f, scikit-learn %.6f", mean, sklearn.MeanAUC)
	assert.InDelta(t, sklearn.MeanAUC, mean, 0.01)
	assert.Greater(t, sklearn.MeanAUC, 0.7, "too hard to tell implementations apart")
	assert.Less(t, sklearn.MeanAUC, 0.95, "too easy to tell implementations apart")
}

// sklearnRows is generate() of the script.
func sklearnRows(n, features int) (rows [][]float32, anomalous []bool) {
	state := uint64(1)
	normal := func() float64 {
		sum := 0.0
		for range 12 {
			state = state*6364136223846793005 + 1442695040888963407
			sum += float64(state>>40) / (1 << 24)
		}
		return sum - 6
	}
	for r := range n {
		anomaly, scale := r%10 == 0, 1.0
		if anomaly {
			scale = 1.5
		}
		row := make([]float32, features)
		for i := range row {
			row[i] = float32(float64(4*((r+i)%3)) + scale*normal())
		}
		rows, anomalous = append(rows, row), append(anomalous, anomaly)
	}
	return rows, anomalous
}

// rocAUC is the chance that an anomalous row scores above a normal one, ties
// counting half (Mann and Whitney).
func rocAUC(scores []float64, anomalous []bool) float64 {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scores[a], scores[b]) })
	wins, normals, anomalies := 0.0, 0.0, 0.0
	for from := 0; from < len(order); {
		ties := [2]float64{} // normal, anomalous
		to := from
		for ; to < len(order) && scores[order[to]] == scores[order[from]]; to++ {
			if anomalous[order[to]] {
				ties[1]++
			} else {
				ties[0]++
			}
		}
		wins += ties[1] * (normals + ties[0]/2)
		normals, anomalies = normals+ties[0], anomalies+ties[1]
		from = to
	}
	return wins / (normals * anomalies)
}
