// SPDX-License-Identifier: Apache-2.0

package rivals

import (
	"iter"

	"github.com/mlverdict/mlverdict/internal/exclusions"
	"github.com/mlverdict/mlverdict/internal/scoreboard"
	"github.com/mlverdict/mlverdict/internal/training"
	"github.com/mlverdict/mlverdict/model/request"
)

// minSites is on how many sites a rule must have matched in a variable before that variable may be excluded for all
// sites to come: what only one site sends says nothing about others.
const minSites = 5

// common finds the exclusions of one variable that enough sites call for.
func common(normal []scoreboard.Sample) map[exclusions.Exclusion]bool {
	sites := map[exclusions.Exclusion]map[string]bool{}
	for i := range normal {
		group := training.Group(normal[i].Request)
		for _, u := range exclusions.Units(&normal[i].View, targets) {
			if e := u.By[len(u.By)-1]; e.Selector != "" {
				if sites[e] == nil {
					sites[e] = map[string]bool{}
				}
				sites[e][group] = true
			}
		}
	}
	list := map[exclusions.Exclusion]bool{}
	for e, on := range sites {
		if len(on) >= minSites {
			list[e] = true
		}
	}
	return list
}

// incidents yields the requests that CRS denies at a paranoia level.
func incidents(views []request.View, level int, targets exclusions.Targets) iter.Seq[exclusions.Incident] {
	return func(yield func(exclusions.Incident) bool) {
		for i := range views {
			v := views[i].AtParanoia(level)
			if !v.Denied() {
				continue
			}
			x := exclusions.Incident{Units: exclusions.Units(&v, targets), Need: 1 - v.Limit}
			for _, u := range x.Units {
				x.Need += u.Points
			}
			if !yield(x) {
				return
			}
		}
	}
}

// maxExclusions bounds the list that the search writes: nobody maintains a longer one.
const maxExclusions = 1000

// search lists exclusions, the best first. It weighs how far an exclusion brings the false positives that are left
// towards passing against how far it brings the attacks there. Of those for one variable only the common ones may be
// chosen, nil = all of them.
func search(normal, attacks []request.View, level int, targets exclusions.Targets, common map[exclusions.Exclusion]bool) sequence {
	steps := exclusions.Search(incidents(normal, level, targets), incidents(attacks, level, targets), exclusions.Choice{
		Allowed: func(e exclusions.Exclusion) bool { return e.Selector == "" || common == nil || common[e] },
		Max:     maxExclusions,
		Value: func(_ exclusions.Exclusion, gain, loss float64) float64 {
			if gain <= 1e-9 {
				return 0
			}
			return gain / (loss + 0.5)
		},
	})
	denied := 0
	for x := range incidents(normal, level, targets) {
		if x.Need > 0 {
			denied++
		}
	}
	found := sequence{when: map[exclusions.Exclusion]float64{}}
	for i, step := range steps {
		at := float64(step.Passed)/float64(denied) + 1e-9*float64(i) // strictly rising
		found.list, found.at = append(found.list, step.Exclusion), append(found.at, at)
		found.when[step.Exclusion] = at
	}
	return found
}
