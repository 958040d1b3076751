// SPDX-License-Identifier: Apache-2.0

// Package exclusions is the one home of what excluding a rule, or a target of a rule, does to a request: which points
// of CRS's anomaly score it takes away, how it is written in SecLang, and which exclusions are the best to write.
//
// The effect is reckoned on recorded views, since asking CRS again about every request for every configuration would
// take too long. What was chosen can be loaded into CRS and replayed, and should be.
package exclusions

import "github.com/mlverdict/mlverdict/model/request"

// Exclusion switches a rule off: everywhere, for a kind of variable, or for some variables of a kind.
type Exclusion struct {
	Rule     int
	Kind     string // kind of variable, see [KindOf]; empty: everywhere
	Selector string // what stands behind the variable's colon, a name or /a pattern/; empty: all of the kind
}

// KindOf groups the places that one exclusion covers. Names of arguments and cookies stand in variables of their own.
func KindOf(p request.Place) string {
	switch p {
	case request.Query, request.Form:
		return "args"
	case request.Name:
		return "names"
	}
	return p.String()
}

// Unit is a part of a request's anomaly score: what one rule earns in one variable.
type Unit struct {
	Points int
	By     []Exclusion // each of them takes the unit away: that of the whole rule, then its targets
}

// Targets lists the exclusions of a rule that cover what it matched: the values from first to last, which all stand in
// the same place.
type Targets func(rule int, first, last *request.Value) []Exclusion

// Units takes the counting matches of a view apart. With nil targets, rules are excluded as a whole.
func Units(v *request.View, targets Targets) (list []Unit) {
	for i := range v.Matches {
		m := &v.Matches[i]
		if !v.Counts(m) {
			continue
		}
		whole := Exclusion{Rule: m.Rule}
		if targets == nil || len(m.Spans) == 0 {
			list = append(list, Unit{m.Score, []Exclusion{whole}})
			continue
		}
		for _, s := range m.Spans {
			by := targets(m.Rule, &v.Values[s.Lo], &v.Values[s.Hi-1])
			list = append(list, Unit{m.Score, append([]Exclusion{whole}, by...)})
		}
	}
	return list
}
