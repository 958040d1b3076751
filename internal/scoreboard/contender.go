// SPDX-License-Identifier: Apache-2.0

package scoreboard

import (
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/mlverdict/mlverdict/model"
)

// Contender is a second layer behind CRS: of what CRS denies, it lets through what is less anomalous than a cut.
type Contender struct {
	Described

	// NewJudge returns a judge for one goroutine.
	NewJudge func() Judge

	// Threshold is the contender's own cut at each level; nil takes the one that clears 95 % on the tuning half.
	Threshold *[Levels]float64
}

// Judge tells how unlike normal traffic a request is at a paranoia level; +Inf means denied at any cut.
type Judge func(s *Sample, level int) float64

// Judged makes a contender of a model, with the threshold of score 50.
func Judged(name, doc string, m *model.Model) Contender {
	calibration := m.Parts().Calibration
	var threshold [Levels]float64
	for i := range threshold {
		threshold[i] = calibration[i][DefaultThreshold-1]
	}
	return Contender{Described{name, doc}, func() Judge {
		var d model.Verdict
		return func(s *Sample, level int) float64 {
			v := s.View.AtParanoia(level)
			if m.Judge(&v, &d) != nil {
				return math.Inf(1) // no answer: CRS decides alone
			}
			return d.Anomaly
		}
	}, &threshold}
}

// DefaultThreshold is the score at or below which a model flags a request by default.
const DefaultThreshold = 50

// anomalies are a contender's answers on a list of samples, by level; NaN where CRS lets the request pass.
type anomalies [Levels][]float64

// judge asks a contender about all samples that CRS denies.
func judge(c *Contender, samples []Sample) *anomalies {
	var out anomalies
	for i := range out {
		out[i] = make([]float64, len(samples))
	}
	parallel(len(samples), func() func(int) {
		ask := c.NewJudge()
		return func(i int) {
			for level := 1; level <= Levels; level++ {
				out[level-1][i] = math.NaN()
				if s := &samples[i]; s.Flagged(level) {
					out[level-1][i] = ask(s, level)
				}
			}
		}
	})
	return &out
}

// parallel calls a worker's function for each index below n, one worker a core.
func parallel(n int, worker func() func(int)) {
	var next int
	var mu sync.Mutex
	take := func() int {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next - 1
	}
	var done sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		done.Go(func() {
			f := worker()
			for i := take(); i < n; i = take() {
				f(i)
			}
		})
	}
	done.Wait()
}

// cuts returns the cut of each operating point at a level from the tuning half's anomalies there. +Inf = no cut clears
// so many: nothing that the contender can do.
func (c *Contender) cuts(level int, tuning []float64) [len(Points)]float64 {
	sorted := slices.DeleteFunc(slices.Clone(tuning), math.IsNaN)
	slices.Sort(sorted)
	var cuts [len(Points)]float64
	for i, share := range shares {
		cuts[i+1] = quantileCut(sorted, share)
	}
	if cuts[Tuned] = cuts[Cleared95]; c.Threshold != nil {
		cuts[Tuned] = c.Threshold[level-1]
	}
	return cuts
}

// quantileCut is the least cut below which at least the given share of the rising anomalies lies.
func quantileCut(rising []float64, share float64) float64 {
	if len(rising) == 0 {
		return 0
	}
	k := int(math.Ceil(share*float64(len(rising)))) - 1
	return math.Nextafter(rising[min(max(k, 0), len(rising)-1)], math.Inf(1))
}

// denies reports whether an anomaly reaches a cut. What no cut can clear is denied even where the wanted share is out
// of reach.
func denies(anomaly, cut float64) bool { return anomaly >= cut || math.IsInf(anomaly, 1) }
