// SPDX-License-Identifier: Apache-2.0

// Package scoreboard holds the second verdict against its rivals under one fixed protocol.
//
// # The protocol
//
// Half of the sites of the recorded browsing tunes, the other half tests; attacks come from sources that no contender
// learned from, less every attack whose payload text stands in training. Each contender is asked about what CRS
// denies, at each paranoia level. Its cut is fixed on the tuning half: there it clears at least 90, 95, 99 or 99.5 %
// of CRS's false positives of that level. What it clears and keeps is counted on the test half, and nowhere else.
//
// Rows of CRS's own regression tests that are labelled benign promise only that one rule stays silent. They are no
// normal traffic and enter no false-positive rate.
package scoreboard

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/model/request"
)

// Measure asks every contender about the test traffic.
func (r *Result) Measure(d *Data, contenders []Contender) {
	groups := grouped(d.Test)
	for level := 1; level <= Levels; level++ {
		r.Tuning[level-1] = Tuning{Requests: len(d.Tuning), CRS: flagged(d.Tuning, level), Cuts: map[string][]*float64{}}
		for _, g := range groups {
			r.Rows = append(r.Rows, g.row(d.Test, level))
		}
	}
	for i := range contenders {
		c := &contenders[i]
		r.Contenders = append(r.Contenders, c.Described)
		tuning, test := judge(c, d.Tuning), judge(c, d.Test)
		for level := 1; level <= Levels; level++ {
			cuts := c.cuts(level, tuning[level-1])
			r.Tuning[level-1].Cuts[c.Name] = finite(cuts[:])
			rows := r.Rows[(level-1)*len(groups):]
			for j, g := range groups {
				rows[j].Contenders[c.Name] = g.cells(d.Test, level, test[level-1], cuts)
			}
			r.Curves = append(r.Curves, curve(c.Name, level, d.Test, test[level-1]))
		}
	}
	slices.SortStableFunc(r.Curves, func(a, b Curve) int { return cmp.Compare(a.Level, b.Level) })
}

// finite replaces cuts out of reach by nil: JSON knows no infinity.
func finite(cuts []float64) []*float64 {
	list := make([]*float64, len(cuts))
	for i := range cuts {
		if !math.IsInf(cuts[i], 0) {
			list[i] = &cuts[i]
		}
	}
	return list
}

func flagged(samples []Sample, level int) (n int) {
	for i := range samples {
		if samples[i].Flagged(level) {
			n++
		}
	}
	return n
}

// group is what one row of the table counts.
type group struct {
	set, label, class, part string
	members                 []int // indexes of samples
}

// The parts of CRS's regression tests that are reported apart.
const (
	withoutDoubt = "label certain"
	payloadRules = "rules 930–944"
)

// grouped sorts samples into the groups that they are reported in: the whole set, its classes, its parts.
func grouped(samples []Sample) []group {
	type key struct{ set, label, class, part string }
	members := map[key][]int{}
	for i := range samples {
		s := &samples[i]
		add := func(class, part string) {
			k := key{s.Set, s.Label, class, part}
			members[k] = append(members[k], i)
		}
		add("", "")
		if class := s.class(); class != "" {
			add(class, "")
		}
		if s.Set == regression && !s.Doubt {
			add("", withoutDoubt)
		}
		if s.Set == regression && (&request.Match{Rule: s.Rule}).Payload() {
			add("", payloadRules)
		}
	}
	var groups []group
	for k, m := range members {
		groups = append(groups, group{k.set, k.label, k.class, k.part, m})
	}
	slices.SortFunc(groups, func(a, b group) int {
		return cmp.Or(cmp.Compare(b.label, a.label), cmp.Compare(a.set, b.set), cmp.Compare(a.class, b.class), cmp.Compare(a.part, b.part))
	})
	return groups
}

// row counts what CRS alone does.
func (g *group) row(samples []Sample, level int) Row {
	row := Row{Level: level, Set: g.set, Label: g.label, Class: g.class, Part: g.part, Requests: len(g.members),
		Contenders: map[string][]Cell{}}
	for _, i := range g.members {
		s := &samples[i]
		switch {
		case s.Refused:
			row.Engine++
		case s.Flagged(level):
			row.CRS++
			if s.protocolOnly(level) {
				row.Protocol++
			}
		}
	}
	return row
}

// protocolOnly reports whether no rule that looks for payloads takes part in the score at a level.
func (s *Sample) protocolOnly(level int) bool {
	v := s.View.AtParanoia(level)
	return !slices.ContainsFunc(v.Matches, func(m request.Match) bool { return v.Counts(&m) && m.Payload() })
}

// cells counts what a contender leaves of CRS's denials at each operating point.
func (g *group) cells(samples []Sample, level int, answers []float64, cuts [len(Points)]float64) []Cell {
	cells := make([]Cell, len(Points))
	crs := 0
	for _, i := range g.members {
		if math.IsNaN(answers[i]) {
			continue
		}
		crs++
		protocol := samples[i].protocolOnly(level)
		for p, cut := range cuts {
			if denies(answers[i], cut) {
				cells[p].Denied++
				if protocol {
					cells[p].Protocol++
				}
			}
		}
	}
	for p := range cells {
		low, high := Wilson(cells[p].Denied, crs)
		cells[p].Interval = [2]float64{rounded(low), rounded(high)}
	}
	return cells
}

// attackSets lists the attack sets of the test that count: those that CRS denies something of.
func attackSets(samples []Sample, answers []float64) map[string][]float64 {
	sets := map[string][]float64{}
	for i := range samples {
		if s := &samples[i]; s.Label == traffic.Attack && s.Counted() && !math.IsNaN(answers[i]) {
			sets[s.Set] = append(sets[s.Set], answers[i])
		}
	}
	return sets
}

// curvePoints is how many points a curve has at most, spread evenly over the logarithm of the share of false positives.
const curvePoints = 120

// curve follows the cut from "deny nothing" to "deny all that CRS denies".
func curve(name string, level int, samples []Sample, answers []float64) Curve {
	c := Curve{Level: level, Contender: name}
	var benign []float64
	for i := range samples {
		if samples[i].Set == browsing && !math.IsNaN(answers[i]) {
			benign = append(benign, answers[i])
		}
	}
	sets := attackSets(samples, answers)
	if len(benign) == 0 || len(sets) == 0 {
		return c
	}
	slices.Sort(benign)
	slices.Reverse(benign)
	names := slices.Sorted(maps.Keys(sets))
	for _, name := range names {
		slices.Sort(sets[name])
	}
	at := func(cut float64) [2]float64 {
		kept := 0.0
		for _, name := range names {
			below, _ := slices.BinarySearch(sets[name], cut)
			kept += 1 - float64(below)/float64(len(sets[name]))
		}
		denied := 0
		for denied < len(benign) && benign[denied] >= cut {
			denied++
		}
		return [2]float64{float64(denied) / float64(len(benign)), kept / float64(len(names))}
	}
	all := [][2]float64{at(math.Inf(1))}
	for _, cut := range slices.Compact(slices.Clone(benign)) {
		all = append(all, at(math.Nextafter(cut, math.Inf(1))), at(cut))
	}
	all = append(all, [2]float64{1, 1})
	for i := 1; i < len(all); i++ {
		c.Area += (all[i][0] - all[i-1][0]) * (all[i][1] + all[i-1][1]) / 2
	}
	c.Area = rounded(c.Area)
	c.Points = thin(all, len(benign))
	return c
}

// thin keeps the points whose share of false positives first reaches each step of a logarithmic scale.
func thin(all [][2]float64, n int) (points [][2]float64) {
	next := 0.0
	growth := math.Pow(float64(n), 1.0/curvePoints)
	for i, p := range all {
		if p[0] >= next || i == len(all)-1 {
			points = append(points, [2]float64{rounded(p[0]), rounded(p[1])})
			next = max(p[0]*growth, 1/float64(n))
		}
	}
	return points
}
