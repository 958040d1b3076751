// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/model"
)

// even is n anomalies spread evenly over 0..most.
func even(n int, most float64) (list []float64) {
	for i := range n {
		list = append(list, most*float64(i)/float64(n))
	}
	return list
}

func calibration(t *testing.T) model.Calibration {
	t.Helper()
	c, err := model.Calibrate([][]float64{even(10_000, 1)})
	require.NoError(t, err)
	return c
}

// share of the anomalies that score s or lower.
func share(c *model.Calibration, anomalies []float64, s int) float64 {
	n := 0
	for _, a := range anomalies {
		if c.Score(a) <= s {
			n++
		}
	}
	return float64(n) / float64(len(anomalies))
}

// A site that repeats one odd request a thousand times is one of ten sites all the same.
func TestEverySiteCalibratesTheSame(t *testing.T) {
	var sites [][]float64
	for range 9 {
		sites = append(sites, even(200, 0.5))
	}
	odd := append(slices.Repeat([]float64{0.9}, 1000), even(1000, 0.5)...)
	c, err := model.Calibrate(append(sites, odd))
	require.NoError(t, err)
	assert.Equal(t, scoreOf(0.05+0.05), c.Score(0.9), "5 % of what a site can expect, and a standard error as large")
	assert.Greater(t, c.Score(0.49), c.Score(0.9))

	again, err := model.Calibrate(append([][]float64{odd}, sites...))
	require.NoError(t, err)
	assert.Equal(t, c, again, "whatever the order of the sites")

	alone, err := model.Calibrate([][]float64{odd})
	require.NoError(t, err)
	assert.Equal(t, scoreOf(0.5), alone.Score(0.9), "of one site half of all is normal")
}

// Where sites differ, a score is more careful than where they are alike.
func TestCalibrationIsSurerOfSitesThatAgree(t *testing.T) {
	var alike, unlike [][]float64
	for i := range 10 {
		alike = append(alike, append(slices.Repeat([]float64{0.9}, 50), even(950, 0.5)...))
		unlike = append(unlike, append(slices.Repeat([]float64{0.9}, 100*(i%2)), even(950, 0.5)...))
	}
	c, err := model.Calibrate(alike)
	require.NoError(t, err)
	assert.Equal(t, 50, c.Score(0.9), "5 % at every site")
	c, err = model.Calibrate(unlike)
	require.NoError(t, err)
	assert.Equal(t, scoreOf(0.0476+0.0159), c.Score(0.9), "0 to 9.5 %: half of the spread of ten sites, over three")
}

// scoreOf is the least score that stands for a share.
func scoreOf(share float64) int {
	s := model.MinScore
	for model.Share(s) < share-1e-9 {
		s++
	}
	return s
}

// A site with a single request that CRS flags, however odd, does not decide what a score of 50 is.
func TestOneRequestDecidesNoThreshold(t *testing.T) {
	sites := [][]float64{{0.95}}
	for range 9 {
		sites = append(sites, even(1000, 0.5))
	}
	c, err := model.Calibrate(sites)
	require.NoError(t, err)
	assert.LessOrEqual(t, c.Score(0.95), 50)
	assert.Less(t, c[49], 0.5)
}

func TestAdaptedCalibration(t *testing.T) {
	base := calibration(t)
	assert.Equal(t, base, base.Adapt(nil), "nothing was seen, nothing changes")
	for level, c := range model.Default().Parts().Calibration { // with requests that score alike
		assert.Equal(t, c, c.Adapt(nil), "level %d", level+1)
		one := c.Adapt([]float64{0.05})
		assert.InDelta(t, c[49], one[49], 0.01, "level %d", level+1)
	}

	calm := even(20_000, 0.5) // of a site where normal requests look half as odd
	site := base.Adapt(calm)
	assert.InDelta(t, 0.04, share(&site, calm, 50), 0.01, "and 1 % that looks like attacks and is not in the sample")
	assert.InDelta(t, 0.5, share(&site, calm, 80), 0.02)
	assert.Zero(t, share(&base, calm, 50))
	assert.Equal(t, base[:model.Doubtful], site[:model.Doubtful], "what looks like an attack is judged as before")

	young := base.Adapt(even(10, 0.5))
	assert.InDelta(t, base[49], young[49], 0.03, "a few requests move little")

	odd := base.Adapt(slices.Repeat([]float64{0.995}, 10_000))
	assert.Greater(t, odd[model.Doubtful-1], 0.995, "a site full of odd requests is no site full of attacks")
	for name, c := range map[string]model.Calibration{"calm": site, "young": young, "odd": odd} {
		for s := 1; s < len(c); s++ {
			assert.LessOrEqual(t, c[s], c[s-1], name)
			assert.False(t, math.IsNaN(c[s]) || c[s] < 0 || c[s] > 2, name)
		}
		assert.Zero(t, c[model.MaxScore-1], name)
	}
}

// Attacks in a sample that is left as it is raise no cut by much.
func TestAdaptedCalibrationBearsAttacks(t *testing.T) {
	base := calibration(t)
	sample := even(5000, 1)
	clean := base.Adapt(sample)
	mixed := base.Adapt(append(sample, even(50, 0.98)...))
	assert.InDelta(t, clean[49], mixed[49], 0.005)
}
