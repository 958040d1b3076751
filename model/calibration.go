// SPDX-License-Identifier: Apache-2.0

package model

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// Bounds of the score.
const (
	MinScore = 1
	MaxScore = 99
)

// Calibration maps the forest's anomaly to the score at one paranoia level: Calibration[s-1] is the least anomaly
// that scores s or lower. It never rises with s.
type Calibration [MaxScore]float64

// Score returns the score of an anomaly, 1..99, in constant time.
func (c *Calibration) Score(anomaly float64) int {
	lo, hi := MinScore, MaxScore // the first s with anomaly ≥ c[s-1], or the highest score
	for lo < hi {
		s := (lo + hi) / 2
		if anomaly >= c[s-1] {
			hi = s
		} else {
			lo = s + 1
		}
	}
	return lo
}

// anchors of the scale: the share of normal, CRS-flagged requests that score s or lower.
var anchors = []struct{ score, share float64 }{{1, 1e-4}, {5, 1e-3}, {20, 0.01}, {50, 0.05}, {80, 0.5}, {99, 1}}

// Share is the share of normal requests flagged by CRS that score s or lower; between the anchors its logarithm is
// linear in the score.
func Share(s int) float64 {
	x := float64(min(max(s, MinScore), MaxScore))
	for i := 1; i < len(anchors); i++ {
		if a, b := anchors[i-1], anchors[i]; x <= b.score {
			t := (x - a.score) / (b.score - a.score)
			return math.Exp(math.Log(a.share)*(1-t) + math.Log(b.share)*t)
		}
	}
	return 1
}

// Calibrate makes a calibration from the anomalies (0..1) of normal requests that CRS flags. Scores that stand for a
// share smaller than the sample can show are spread evenly, over shares in logarithm, between the largest anomaly
// seen and 1.
func Calibrate(anomalies []float64) (Calibration, error) {
	var c Calibration
	n := len(anomalies)
	if n == 0 {
		return c, fmt.Errorf("model: no normal request that CRS flags to calibrate on")
	}
	sorted := slices.Clone(anomalies)
	slices.Sort(sorted)
	slices.Reverse(sorted)
	if math.IsNaN(sorted[n-1]) || sorted[n-1] < 0 || sorted[0] > 1 {
		return c, fmt.Errorf("model: anomalies to calibrate on lie outside 0..1")
	}
	top := sorted[0]
	smallest := 1 / float64(n) // the smallest share that the sample shows
	for s := MinScore; s <= MaxScore; s++ {
		share := Share(s)
		k := int(share * float64(n)) // requests that may score s or lower
		switch {
		case k >= n:
			c[s-1] = 0
		case k >= 1:
			c[s-1] = math.Nextafter(sorted[k], 2)
		default:
			depth := math.Log(smallest/share) / math.Log(smallest/Share(MinScore)) // 0 at the smallest share, 1 at score 1
			c[s-1] = max(math.Nextafter(top, 2), top+(1-top)*depth/2)
		}
	}
	return c, nil
}

const (
	trusted       = 20  // the score up to which a calibration is kept when it is adapted
	priorRequests = 200 // requests as which the present calibration counts then
)

// Adapt returns the calibration as it is for traffic of which a sample is at hand: the anomalies of requests that CRS flags,
// most of which are normal. What scores up to 20 stands for too few normal requests to be counted, and attacks among
// the sample score so: these cuts stay, and what reaches them is left out. Below, the sample, and the present scale as the
// prior, tell what share of the rest an anomaly stands for. An empty sample changes nothing.
func (c *Calibration) Adapt(anomalies []float64) Calibration {
	type point struct{ anomaly, weight float64 }
	least := Share(trusted) // share of the normal requests that is not looked at
	var points []point
	total := float64(priorRequests)
	for s := trusted + 1; s <= MaxScore; s++ {
		points = append(points, point{c[s-1], priorRequests * (Share(s) - Share(s-1)) / (1 - least)})
	}
	for _, a := range anomalies {
		if a < c[trusted-1] {
			points = append(points, point{a, 1})
			total++
		}
	}
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(b.anomaly, a.anomaly) })
	out := *c
	reached, i, cut := 0.0, 0, c[trusted-1]
	for s := trusted + 1; s <= MaxScore; s++ {
		allowed := total*(Share(s)-least)/(1-least) + 1e-9
		for i < len(points) {
			next, weight := i, 0.0 // the points that share the next anomaly: a cut takes all or none of them
			for ; next < len(points) && points[next].anomaly == points[i].anomaly; next++ {
				weight += points[next].weight
			}
			if reached+weight > allowed {
				break
			}
			reached, cut, i = reached+weight, points[i].anomaly, next
		}
		out[s-1] = cut
	}
	return out
}

const calibrationSize = MaxScore * 8

// appendBinary appends 99 float64 (IEEE 754, little endian).
func (c *Calibration) appendBinary(b []byte) []byte {
	for _, cut := range c {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(cut))
	}
	return b
}

func (c *Calibration) decode(b []byte) error {
	last := 2.0
	for i := range c {
		cut := math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		if !(cut >= 0 && cut <= last) { // false for NaN
			return fmt.Errorf("model: calibration: %w: cut %d is %v", ErrFormat, i+1, cut)
		}
		c[i], last = cut, cut
	}
	return nil
}
