// SPDX-License-Identifier: Apache-2.0

package exclusions

import (
	"cmp"
	"iter"
	"slices"
)

// Incident is a request that CRS denies.
type Incident struct {
	Units []Unit
	Need  int // points to take away until it passes
}

// Choice says how a search chooses.
type Choice struct {
	Allowed func(Exclusion) bool // which exclusions may be chosen; nil = all of them
	Max     int                  // how many may be chosen

	// Value weighs an exclusion: gain is how far it brings the normal requests that are left towards passing, loss how
	// far the attacks. The highest value is chosen; 0 is not worth it.
	Value func(e Exclusion, gain, loss float64) float64
}

// Step is an exclusion that was chosen, and how many normal requests pass from there on.
type Step struct {
	Exclusion
	Passed int
}

// Search lists exclusions, the best first: greedy covering, after Wolsey (1982). Of equals the one that was met first
// comes first.
func Search(normal, attacks iter.Seq[Incident], c Choice) (steps []Step) {
	known := candidates{number: map[Exclusion]int{}, allowed: c.Allowed}
	benign, attacked := known.incidents(normal), known.incidents(attacks)
	gain, loss := newLedger(benign, len(known.list)), newLedger(attacked, len(known.list))
	for passed := 0; len(steps) < c.Max; {
		best, value := -1, 0.0
		for e, g := range gain.total {
			if v := c.Value(known.list[e], g, loss.total[e]); v > value {
				best, value = e, v
			}
		}
		if best < 0 {
			break
		}
		passed += gain.take(best)
		loss.take(best)
		steps = append(steps, Step{known.list[best], passed})
	}
	return steps
}

// candidates numbers the exclusions that the search chooses from.
type candidates struct {
	number  map[Exclusion]int
	list    []Exclusion
	allowed func(Exclusion) bool
}

// incident is an Incident on its way to being let through.
type incident struct {
	parts []part
	need  int
}

// part is a unit whose exclusions are candidates by number.
type part struct {
	points int
	by     []int
}

func (c *candidates) of(e Exclusion) int {
	n, ok := c.number[e]
	if !ok {
		n = len(c.list)
		c.number[e], c.list = n, append(c.list, e)
	}
	return n
}

func (c *candidates) incidents(all iter.Seq[Incident]) (list []incident) {
	for in := range all {
		x := incident{need: in.Need}
		for _, u := range in.Units {
			p := part{points: u.Points}
			for _, e := range u.By {
				if c.allowed == nil || c.allowed(e) {
					p.by = append(p.by, c.of(e))
				}
			}
			x.parts = append(x.parts, p)
		}
		if x.need > 0 {
			list = append(list, x)
		}
	}
	return list
}

// ledger keeps, for each exclusion, how far it brings the incidents that are left towards passing: the sum over them
// of the share of the points in need that it takes away.
type ledger struct {
	incidents []incident
	holding   [][]int // by exclusion: the incidents that hold a part of it
	total     []float64
}

func newLedger(incidents []incident, exclusions int) *ledger {
	l := &ledger{incidents, make([][]int, exclusions), make([]float64, exclusions)}
	for i := range incidents {
		for _, s := range incidents[i].sums() {
			l.holding[s.exclusion] = append(l.holding[s.exclusion], i)
		}
		l.book(i, 1)
	}
	return l
}

type sum struct{ exclusion, points int }

// sums adds up what each exclusion takes from the incident.
func (x *incident) sums() (sums []sum) {
	for _, p := range x.parts {
		for _, e := range p.by {
			sums = append(sums, sum{e, p.points})
		}
	}
	slices.SortFunc(sums, func(a, b sum) int { return cmp.Compare(a.exclusion, b.exclusion) })
	out := sums[:0]
	for _, s := range sums {
		if n := len(out); n > 0 && out[n-1].exclusion == s.exclusion {
			out[n-1].points += s.points
		} else {
			out = append(out, s)
		}
	}
	return out
}

// book adds (sign 1) or takes back (-1) what an incident contributes.
func (l *ledger) book(i int, sign float64) {
	x := &l.incidents[i]
	if x.need <= 0 {
		return
	}
	for _, s := range x.sums() {
		l.total[s.exclusion] += sign * float64(min(s.points, x.need)) / float64(x.need)
	}
}

// take applies an exclusion to every incident that holds it and returns how many it lets through.
func (l *ledger) take(e int) (passed int) {
	for _, i := range l.holding[e] {
		l.book(i, -1)
		x := &l.incidents[i]
		waits := x.need > 0
		x.parts = slices.DeleteFunc(x.parts, func(p part) bool {
			gone := slices.Contains(p.by, e)
			if gone {
				x.need -= p.points
			}
			return gone
		})
		if waits && x.need <= 0 {
			passed++
		}
		l.book(i, 1)
	}
	l.total[e] = 0 // what is left of it is rounding
	return passed
}
