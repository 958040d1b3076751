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

// Share is the share of normal requests flagged by CRS, of a site not seen before, that scores s or lower, or rather what it
// hardly exceeds ([Calibrate]); between the anchors its logarithm is linear in the score.
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

// Calibrate makes a calibration from the anomalies (0..1) of normal requests that CRS flags, those of each site apart. Every
// site counts the same, however many of its requests CRS flags, so that a share is what a site not seen before can expect
// and not what one site repeats; no single request decides what scores 50, where most sites have dozens of them. Scores that
// stand for a share smaller than the sample can show are spread evenly, over shares in logarithm, between the largest anomaly
// seen and 1.
func Calibrate(sites [][]float64) (Calibration, error) {
	var c Calibration
	sample := pool(sites)
	if len(sample.points) == 0 {
		return c, fmt.Errorf("model: no normal request that CRS flags to calibrate on")
	}
	top, bottom := sample.points[0], sample.points[len(sample.points)-1].anomaly
	if math.IsNaN(bottom) || bottom < 0 || top.anomaly > 1 {
		return c, fmt.Errorf("model: anomalies to calibrate on lie outside 0..1")
	}
	smallest := top.weight / sample.total // the smallest share that the sample shows
	for s := MinScore; s <= MaxScore; s++ {
		c[s-1] = sample.cut(Share(s))
		if c[s-1] > top.anomaly {
			depth := math.Log(smallest/Share(s)) / math.Log(smallest/Share(MinScore)) // 0 at the smallest share, 1 at score 1
			c[s-1] = max(c[s-1], top.anomaly+(1-top.anomaly)*depth/2)
		}
	}
	return c, nil
}

// pool makes one sample of those of sites. A site weighs 1 or, where it has so few requests that one of them would be more
// than half of what scores 50 among sites that weigh 1, as much less.
func pool(sites [][]float64) tail {
	sites = slices.DeleteFunc(slices.Clone(sites), func(anomalies []float64) bool { return len(anomalies) == 0 })
	most := float64(len(sites)) * Share(50) / 2 // of one request
	var points []point
	for _, anomalies := range sites {
		weight := min(1/float64(len(anomalies)), most)
		for _, a := range anomalies {
			points = append(points, point{a, weight})
		}
	}
	return newTail(points)
}

// Doubtful is the score up to which a request looks like an attack: 3 % of the normal requests that CRS flags do.
const Doubtful = 40

// prior is the number of requests as which a calibration counts when it is adapted.
const prior = 200

// Adapt returns the calibration as it is for traffic of which a sample is at hand: the anomalies of requests that CRS
// flags and that did not look like attacks, so that they are the normal ones but for 3 %. The scale at hand is the
// prior; an empty sample changes nothing. A score above [Doubtful] stands for its share of normal requests as the
// sample tells it; the cuts of the others can only rise, since what lies there may be attacks.
func (c *Calibration) Adapt(anomalies []float64) Calibration {
	var points []point
	rest := 1 - Share(Doubtful) // share of the normal requests that is looked at
	for s := Doubtful + 1; s <= MaxScore; s++ {
		points = append(points, point{math.Nextafter(c[s-2], -1), prior * (Share(s) - Share(s-1)) / rest}) // below what scores less
	}
	for _, a := range anomalies {
		points = append(points, point{a, 1})
	}
	t := newTail(points)
	var out Calibration
	for s := MinScore; s <= MaxScore; s++ {
		if s <= Doubtful {
			out[s-1] = max(c[s-1], t.cut(Share(s)))
		} else {
			out[s-1] = min(out[s-2], t.cut((Share(s)-Share(Doubtful))/rest))
		}
	}
	return out
}

// tail is a weighted sample of anomalies, the highest first.
type tail struct {
	points []point
	total  float64 // of the weights
}

type point struct{ anomaly, weight float64 }

// byAnomaly puts the highest first.
func byAnomaly(a, b point) int {
	return cmp.Or(cmp.Compare(b.anomaly, a.anomaly), cmp.Compare(a.weight, b.weight))
}

// newTail sorts the points.
func newTail(points []point) tail {
	slices.SortFunc(points, byAnomaly)
	t := tail{points: points}
	for _, p := range points { // in this order, whatever that of the sample was: sums are rounded
		t.total += p.weight
	}
	return t
}

// cut is the least anomaly that no more than a share of the sample reaches.
func (t *tail) cut(share float64) float64 {
	const rounding = 1e-9
	left := share*t.total + rounding
	for _, p := range t.points {
		if left -= p.weight; left < 0 {
			return max(0, math.Nextafter(p.anomaly, 2)) // above all that equal it, too
		}
	}
	return 0
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
