// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"math"
	"math/rand/v2"
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
	assert.Equal(t, 50, c.Score(0.9), "half of one of ten sites: 5 % of what a site can expect")
	assert.Greater(t, c.Score(0.49), c.Score(0.9))

	again, err := model.Calibrate(append([][]float64{odd}, sites...))
	require.NoError(t, err)
	assert.Equal(t, c, again, "whatever the order of the sites")

	alone, err := model.Calibrate([][]float64{odd})
	require.NoError(t, err)
	assert.Equal(t, scoreOf(0.5), alone.Score(0.9), "of one site half of all is normal")
}

// A request of a site that has only one is no more than half of what scores 50, where the other sites have dozens.
func TestNoSingleRequestDecidesACalibration(t *testing.T) {
	sites := [][]float64{{0.9}}
	for range 9 {
		sites = append(sites, even(200, 0.5))
	}
	c, err := model.Calibrate(sites)
	require.NoError(t, err)
	assert.Equal(t, scoreOf(0.25/9.25), c.Score(0.9), "a quarter of a site, where a whole one would be a tenth of all")
	assert.Less(t, c[49], 0.5, "and what scores 50 is as among the others")
	c, err = model.Calibrate(append(sites, slices.Repeat([][]float64{even(200, 0.5)}, 31)...))
	require.NoError(t, err)
	assert.Equal(t, scoreOf(1.0/41), c.Score(0.9), "one site of 41")
}

// A site's share is the same however many requests show it.
func TestOneSiteIsSure(t *testing.T) {
	for n := 20; n <= 4000; n += 20 {
		c, err := model.Calibrate([][]float64{append(slices.Repeat([]float64{0.9}, n/20), even(n-n/20, 0.5)...)})
		require.NoError(t, err)
		require.Equal(t, 50, c.Score(0.9), "5 %% of %d", n)
	}
}

// TestCalibrationIsAShare holds cuts against the definition of the share that they stand for, on sites of any size with equal anomalies.
func TestCalibrationIsAShare(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 100 {
		sites := make([][]float64, 2+rng.IntN(30))
		for i := range sites {
			for range 1 + rng.IntN(1+rng.IntN(60)) {
				sites[i] = append(sites[i], float64(rng.IntN(40))/40*rng.Float64()/2+float64(rng.IntN(20))/40)
			}
			if rng.IntN(2) == 0 {
				sites[i] = append(sites[i], 0.75, 0.75, 0.25)
			}
		}
		c, err := model.Calibrate(sites)
		require.NoError(t, err)
		for s := range c {
			require.LessOrEqual(t, c[s], c[max(0, s-1)], "round %d: score %d", round, s+1)
		}
		require.Zero(t, c[model.MaxScore-1], "round %d", round)
		for _, s := range []int{35, 50, 65, 80, 90} {
			require.LessOrEqual(t, reaching(sites, c[s-1]), model.Share(s)+1e-9, "round %d: what scores %d is no more than its share", round, s)
			if below := nextBelow(sites, c[s-1]); below >= 0 {
				require.Greater(t, reaching(sites, below), model.Share(s)-1e-9, "round %d: the cut of score %d is the lowest", round, s)
			}
		}
		shuffled := slices.Clone(sites)
		rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		for i := range shuffled {
			shuffled[i] = slices.Clone(shuffled[i])
			rng.Shuffle(len(shuffled[i]), func(a, b int) { shuffled[i][a], shuffled[i][b] = shuffled[i][b], shuffled[i][a] })
		}
		again, err := model.Calibrate(append(shuffled, nil))
		require.NoError(t, err)
		require.Equal(t, c, again, "round %d: whatever the order, and without sites that show nothing", round)
	}
}

// reaching is the share of requests that reach an anomaly, each site alike but for those with too few.
func reaching(sites [][]float64, anomaly float64) float64 {
	most := float64(len(sites)) * 0.05 / 2
	var above, all float64
	for _, site := range sites {
		weight := min(1, most*float64(len(site)))
		all += weight
		for _, a := range site {
			if a >= anomaly {
				above += weight / float64(len(site))
			}
		}
	}
	return above / all
}

// nextBelow is the highest anomaly below a cut, -1 where there is none.
func nextBelow(sites [][]float64, cut float64) float64 {
	below := -1.0
	for _, a := range slices.Concat(sites...) {
		if a < cut {
			below = max(below, a)
		}
	}
	return below
}

// scoreOf is the least score that stands for a share.
func scoreOf(share float64) int {
	s := model.MinScore
	for model.Share(s) < share-1e-9 {
		s++
	}
	return s
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
	assert.InDelta(t, 0.02, share(&site, calm, 50), 0.01, "and 3 % that looks like attacks and is not in the sample")
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
