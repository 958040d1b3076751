// SPDX-License-Identifier: Apache-2.0

package rivals

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"github.com/mlverdict/mlverdict/internal/exclusions"
	"github.com/mlverdict/mlverdict/internal/scoreboard"
	"github.com/mlverdict/mlverdict/model/request"
)

// Excluder is CRS with the exclusions that an operator would write, in the order in which they would be written. The
// first few of them are a configuration; how many is the cut of this contender.
type Excluder struct {
	scoreboard.Described
	targets exclusions.Targets // nil: whole rules only
	lists   [scoreboard.Levels]sequence
}

// sequence is a list for one paranoia level.
type sequence struct {
	list []exclusions.Exclusion
	at   []float64 // the share of the false positives it was made on that the list up to here clears, rising
	when map[exclusions.Exclusion]float64
}

// targets are the kind of variable that a rule matched and, where it can be written as it is, the variable.
func targets(rule int, first, last *request.Value) []exclusions.Exclusion {
	kind := exclusions.KindOf(first.Place)
	list := []exclusions.Exclusion{{Rule: rule, Kind: kind}}
	if first.Name == last.Name && writable(first) {
		list = append(list, exclusions.Exclusion{Rule: rule, Kind: kind, Selector: first.Name})
	}
	return list
}

// writable reports whether a value's name can stand in SecRuleUpdateTargetById as it is.
func writable(x *request.Value) bool {
	switch x.Place {
	case request.Query, request.Form, request.Cookie, request.Header:
	default:
		return false
	}
	for i := 0; i < len(x.Name); i++ {
		switch c := x.Name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-', c == '.':
		default:
			return false
		}
	}
	return x.Name != "" && len(x.Name) <= 64
}

// Rules is the rule exclusion that the first article ends with: whole rules are removed, searched greedily for most
// false positives cleared and least training attacks lost.
func Rules(m *Material) *Excluder {
	return exclude(scoreboard.Described{Name: "rule-exclusion",
		Doc: "SecRuleRemoveById, found greedily: most false positives of training and tuning cleared for least training attacks lost"},
		m.Normal, m.Attacks, nil, nil)
}

// Targets is rule exclusion that may also exclude a rule for a kind of variable, or for one variable that enough sites
// have in common.
func Targets(m *Material) *Excluder {
	return exclude(scoreboard.Described{Name: "target-exclusion",
		Doc: "the same, and SecRuleUpdateTargetById for a kind of variable or for one variable that sites have in common"},
		m.Normal, m.Attacks, targets, common(m.Normal))
}

// SiteExclusion is what an operator does on one site: rule and target exclusion made on the site's own traffic, with any
// of its variables, and where that does not reach far enough the exclusions that every site gets.
func SiteExclusion(m *Material, everywhere *Excluder) scoreboard.Adapter {
	d := scoreboard.Described{Name: "site-exclusion",
		Doc: "rule and target exclusion made on the site's own traffic, with any of its variables, then that for every site"}
	return scoreboard.Adapter{Described: d, Adapt: func(own []scoreboard.Sample) (scoreboard.Contender, error) {
		x := exclude(d, own, m.Attacks, targets, nil)
		for level := range x.lists {
			for e, at := range everywhere.lists[level].when {
				if _, ok := x.lists[level].when[e]; !ok {
					x.lists[level].when[e] = 2 + at // after the own ones, which end near 1
				}
			}
		}
		return x.Contender(), nil
	}}
}

func exclude(d scoreboard.Described, normal []scoreboard.Sample, attacks []request.View, targets exclusions.Targets, allowed map[exclusions.Exclusion]bool) *Excluder {
	x := &Excluder{Described: d, targets: targets}
	views := make([]request.View, len(normal))
	for i := range normal {
		views[i] = normal[i].View
	}
	var done sync.WaitGroup
	for i := range x.lists {
		done.Go(func() { x.lists[i] = search(views, attacks, i+1, targets, allowed) })
	}
	done.Wait()
	return x
}

// Contender puts the exclusions behind CRS: reckoned by taking matches out of the recordings, since asking CRS again
// about every request for every configuration would take too long. [Excluder.Replay] checks the figures against CRS itself.
func (x *Excluder) Contender() scoreboard.Contender {
	return scoreboard.Contender{Described: x.Described, NewJudge: func() scoreboard.Judge {
		return func(s *scoreboard.Sample, level int) float64 {
			v := s.View.AtParanoia(level)
			return cleared(&v, x.lists[level-1].when, x.targets)
		}
	}}
}

// cleared tells at which point of the list CRS lets a view pass; +Inf if it never does.
func cleared(v *request.View, when map[exclusions.Exclusion]float64, targets exclusions.Targets) float64 {
	type gone struct {
		at     float64
		points int
	}
	var parts []gone
	sum := 0
	for _, u := range exclusions.Units(v, targets) {
		at := math.Inf(1)
		for _, e := range u.By {
			if k, ok := when[e]; ok {
				at = min(at, k)
			}
		}
		parts = append(parts, gone{at, u.Points})
		sum += u.Points
	}
	slices.SortFunc(parts, func(a, b gone) int { return cmp.Compare(a.at, b.at) })
	for _, p := range parts {
		if math.IsInf(p.at, 1) {
			break
		}
		if sum -= p.points; sum < v.Limit {
			return p.at
		}
	}
	return math.Inf(1)
}

// Until lists the exclusions of a paranoia level up to a cut, nil = all of them.
func (x *Excluder) Until(level int, cut *float64) []exclusions.Exclusion {
	l := x.lists[level-1]
	if cut == nil {
		return l.list
	}
	n, _ := slices.BinarySearch(l.at, *cut)
	return l.list[:n]
}
