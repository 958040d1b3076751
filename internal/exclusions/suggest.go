// SPDX-License-Identifier: Apache-2.0

package exclusions

import (
	"maps"
	"slices"

	"github.com/mlverdict/mlverdict/model/request"
)

// Vetoed is a request that CRS denies and the second verdict clears.
type Vetoed struct {
	View request.View // at the paranoia level in question
	Site string       // empty if unknown
}

// Suggestion is an exclusion and what it would do. A request is explained when CRS's score falls below its threshold.
type Suggestion struct {
	Exclusion
	SoFar     int // vetoed requests that it explains together with the suggestions before it
	Alone     int // vetoed requests that it would explain by itself
	Needed    int // explained requests that CRS would flag again without it, all others kept
	Sites     int // sites on which it takes part in explaining a request
	Lost      int // attacks lost together with the suggestions before it
	LostAlone int // attacks that it would lose by itself
	LostThere int // attacks that it would lose if they all came in its target
}

// Suggest finds the few exclusions, at most n, that explain most vetoed requests for fewest attacks lost; attacks are
// views at the same paranoia level.
func Suggest(vetoed []Vetoed, attacks []request.View, n int) []Suggestion {
	normal, harmful := make([]Incident, len(vetoed)), []Incident{}
	whole := map[Exclusion]bool{} // the rules that matched what no target covers
	for i := range vetoed {
		normal[i] = incidentOf(&vetoed[i].View)
		for _, u := range normal[i].Units {
			if len(u.By) == 1 {
				whole[u.By[0]] = true
			}
		}
	}
	for i := range attacks {
		if attacks[i].Denied() {
			harmful = append(harmful, incidentOf(&attacks[i]))
		}
	}
	worth := worth{float64(len(normal)), float64(len(harmful))}
	steps := Search(slices.Values(normal), slices.Values(harmful), Choice{
		Allowed: func(e Exclusion) bool { return e.Kind != "" || whole[e] },
		Max:     maxSteps, Value: worth.value,
	})
	var list []Exclusion
	for taken := 0; taken < len(steps) && len(list) < n+spare; {
		more := min(n+spare-len(list), len(steps)-taken)
		taken += more
		list = list[:0]
		for _, step := range steps[:taken] {
			list = append(list, step.Exclusion)
		}
		list = useful(normal, list)
	}
	return reckon(vetoed, normal, harmful, fewest(normal, list, n))
}

const (
	maxSteps = 200 // bounds the list of whose first useful ones the best are kept
	spare    = 10  // how many more useful ones are looked at: some are of use in company only
)

// incidentOf takes a view apart. What CRS has counted is the measure. Where the matches that the view knows make less
// (a rule can match one value in several ways), taking all of them away is taken to be enough; where they make more,
// it takes more.
func incidentOf(v *request.View) Incident {
	x := Incident{Units: Units(v, Narrow)}
	sum := 0
	for _, u := range x.Units {
		sum += u.Points
	}
	x.Need = max(v.Score(), sum) - v.Limit + 1
	if sum > 0 {
		x.Need = min(x.Need, sum)
	}
	return x
}

// worth weighs exclusions by shares of all vetoed requests and of all attacks.
type worth struct{ normal, attacks float64 }

// value is 0 for what explains less than 1 in 200 vetoed requests, or no more of them than it loses of the attacks. Broad
// exclusions lose more than the attacks that are known, so they count as losing some others.
func (w worth) value(e Exclusion, gain, loss float64) float64 {
	if gain < max(1, w.normal/200)-1e-9 || loss > 0 && gain*w.attacks <= loss*w.normal {
		return 0
	}
	return gain / (loss + e.breadth())
}

// breadth is how many unknown attacks an exclusion counts as losing: a broader one has to explain so many times more.
func (e Exclusion) breadth() float64 {
	switch {
	case e.Kind == "":
		return 40
	case e.Selector == "":
		return 10
	case e.Selector[0] == '/':
		return 0.6
	}
	return 0.5
}

// Set is a configuration: exclusions that are written.
type Set map[Exclusion]bool

func setOf(list []Exclusion) Set {
	s := Set{}
	for _, e := range list {
		s[e] = true
	}
	return s
}

// Passes reports whether CRS would let a request pass with the exclusions, as far as can be reckoned.
func (s Set) Passes(v *request.View) bool {
	x := incidentOf(v)
	return s.passes(&x)
}

// Touches reports whether one of the exclusions takes a part of the request's score away.
func (s Set) Touches(v *request.View) bool {
	return slices.ContainsFunc(Units(v, Narrow), s.take)
}

// take reports whether the exclusions take a unit away.
func (s Set) take(u Unit) bool {
	return slices.ContainsFunc(u.By, func(e Exclusion) bool { return s[e] })
}

// passes reports whether CRS lets the request pass with the exclusions.
func (s Set) passes(x *Incident) bool {
	gone := 0
	for _, u := range x.Units {
		if s.take(u) {
			gone += u.Points
		}
	}
	return gone >= x.Need
}

func (s Set) count(all []Incident) (n int) {
	for i := range all {
		if s.passes(&all[i]) {
			n++
		}
	}
	return n
}

// with and without are s and one exclusion more or less.
func (s Set) with(e Exclusion) Set {
	t := maps.Clone(s)
	t[e] = true
	return t
}

func (s Set) without(e Exclusion) Set {
	t := maps.Clone(s)
	delete(t, e)
	return t
}

// useful drops, from the end, the exclusions that no explained request needs: steps that lead nowhere within the list, and
// narrow ones that a broad one has overtaken.
func useful(normal []Incident, list []Exclusion) []Exclusion {
	for i := len(list) - 1; i >= 0; i-- {
		if setOf(list).needs(normal)[list[i]] == 0 {
			list = slices.Delete(list, i, i+1)
		}
	}
	return list
}

// fewest takes exclusions out of a useful list until n are left: always the one that fewest of the explained requests
// need, of equals the last, and what is of no use without it.
func fewest(normal []Incident, list []Exclusion, n int) []Exclusion {
	for len(list) > n {
		need := setOf(list).needs(normal)
		least := len(list) - 1
		for i := range slices.Backward(list) {
			if need[list[i]] < need[list[least]] {
				least = i
			}
		}
		list = useful(normal, slices.Delete(list, least, least+1))
	}
	return list
}

// needs counts, for each exclusion, the requests that pass with all of them and not without it.
func (s Set) needs(all []Incident) map[Exclusion]int {
	need := map[Exclusion]int{}
	for i := range all {
		x := &all[i]
		if !s.passes(x) {
			continue
		}
		tried := map[Exclusion]bool{}
		for _, u := range x.Units {
			for _, e := range u.By {
				if s[e] && !tried[e] {
					tried[e] = true
					if !s.without(e).passes(x) {
						need[e]++
					}
				}
			}
		}
	}
	return need
}

// reckon puts the exclusions into the order in which each explains most after those before it, and counts.
func reckon(vetoed []Vetoed, normal, harmful []Incident, list []Exclusion) (suggestions []Suggestion) {
	so, all := Set{}, setOf(list)
	needs := all.needs(normal)
	for len(list) > 0 {
		best, most := 0, -1
		for i, e := range list {
			if n := so.with(e).count(normal); n > most {
				best, most = i, n
			}
		}
		e := list[best]
		list = slices.Delete(list, best, best+1)
		so[e] = true
		alone, there := Set{e: true}, Set{Exclusion{Rule: e.Rule, Kind: e.Kind}: true}
		suggestions = append(suggestions, Suggestion{
			Exclusion: e, SoFar: most, Alone: alone.count(normal), Needed: needs[e],
			Sites: sites(vetoed, normal, all, e),
			Lost:  so.count(harmful), LostAlone: alone.count(harmful), LostThere: there.count(harmful),
		})
	}
	return suggestions
}

// sites counts those with a request that passes with all exclusions and from which e takes something away.
func sites(vetoed []Vetoed, normal []Incident, all Set, e Exclusion) int {
	on := map[string]bool{}
	for i := range normal {
		if vetoed[i].Site != "" && slices.ContainsFunc(normal[i].Units, Set{e: true}.take) && all.passes(&normal[i]) {
			on[vetoed[i].Site] = true
		}
	}
	return len(on)
}
