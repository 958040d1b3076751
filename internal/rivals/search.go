// SPDX-License-Identifier: Apache-2.0

package rivals

import (
	"cmp"
	"slices"

	"github.com/mlverdict/mlverdict/internal/scoreboard"
	"github.com/mlverdict/mlverdict/internal/training"
	"github.com/mlverdict/mlverdict/model/request"
)

// incident is a request that CRS denies, on its way to being let through.
type incident struct {
	parts []part
	need  int // points to take away until it passes
}

// part is a unit whose exclusions are candidates by number.
type part struct {
	points int
	by     []int
}

// candidates numbers the exclusions that the search chooses from.
type candidates struct {
	number map[Exclusion]int
	list   []Exclusion
	common map[Exclusion]bool // those of one variable that may be chosen; nil = all of them
}

// minSites is on how many sites a rule must have matched in a variable before that variable may be excluded for all
// sites to come: what only one site sends says nothing about others.
const minSites = 5

// common finds the exclusions of one variable that enough sites call for.
func common(normal []scoreboard.Sample) map[Exclusion]bool {
	sites := map[Exclusion]map[string]bool{}
	for i := range normal {
		group := training.Group(normal[i].Request)
		for _, u := range units(&normal[i].View, true) {
			if e := u.by[len(u.by)-1]; e.Name != "" {
				if sites[e] == nil {
					sites[e] = map[string]bool{}
				}
				sites[e][group] = true
			}
		}
	}
	list := map[Exclusion]bool{}
	for e, on := range sites {
		if len(on) >= minSites {
			list[e] = true
		}
	}
	return list
}

func (c *candidates) of(e Exclusion) int {
	n, ok := c.number[e]
	if !ok {
		n = len(c.list)
		c.number[e], c.list = n, append(c.list, e)
	}
	return n
}

// incidents takes the requests that CRS denies at a paranoia level.
func (c *candidates) incidents(views []request.View, level int, variables bool) (list []incident) {
	for i := range views {
		v := views[i].AtParanoia(level)
		if !v.Denied() {
			continue
		}
		x := incident{need: 1 - v.Limit}
		for _, u := range units(&v, variables) {
			p := part{points: u.points}
			for _, e := range u.by {
				if e.Name == "" || c.common == nil || c.common[e] {
					p.by = append(p.by, c.of(e))
				}
			}
			x.parts = append(x.parts, p)
			x.need += u.points
		}
		if x.need > 0 {
			list = append(list, x)
		}
	}
	return list
}

// maxExclusions bounds the list that the search writes: nobody maintains a longer one.
const maxExclusions = 1000

// search lists exclusions, the best first. It weighs how far an exclusion brings the false positives that are left
// towards passing against how far it brings the attacks there: greedy covering, after Wolsey (1982). Of equals the one
// that was met first comes first.
func search(normal, attacks []request.View, level int, variables bool, common map[Exclusion]bool) exclusions {
	c := candidates{number: map[Exclusion]int{}, common: common}
	benign, attacked := c.incidents(normal, level, variables), c.incidents(attacks, level, variables)
	gain, loss := newLedger(benign, len(c.list)), newLedger(attacked, len(c.list))
	found := exclusions{when: map[Exclusion]float64{}}
	for passed := 0; len(found.list) < maxExclusions; {
		best, value := -1, 0.0
		for e, g := range gain.total {
			if v := g / (loss.total[e] + 0.5); g > 1e-9 && v > value {
				best, value = e, v
			}
		}
		if best < 0 {
			break
		}
		passed += gain.take(best)
		loss.take(best)
		at := float64(passed)/float64(len(benign)) + 1e-9*float64(len(found.list)) // strictly rising
		found.list, found.at = append(found.list, c.list[best]), append(found.at, at)
		found.when[c.list[best]] = at
	}
	return found
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
