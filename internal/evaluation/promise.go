// SPDX-License-Identifier: Apache-2.0

package evaluation

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Promises are bounds that an evaluation must keep, such as "fpr<=0.01,kept>=0.97".
type Promises []promise

type promise struct {
	figure, relation string
	bound            float64
}

// figures are what can be promised: shares of the totals, as a part of a whole.
var figures = map[string]func(Totals) (part, whole int){
	"fpr":     func(t Totals) (int, int) { return t.Benign.Denied, t.Benign.Requests },
	"cleared": func(t Totals) (int, int) { return t.Benign.CRSDenied - t.Benign.Denied, t.Benign.CRSDenied },
	"kept":    func(t Totals) (int, int) { return t.Attack.Denied, t.Attack.CRSDenied },
	"caught":  func(t Totals) (int, int) { return t.Attack.Denied, t.Attack.Requests },
}

// relations, the longer ones before those that they begin with.
var relations = []struct {
	sign  string
	holds func(share, bound float64) bool
}{
	{"<=", func(share, bound float64) bool { return share <= bound }},
	{">=", func(share, bound float64) bool { return share >= bound }},
	{"<", func(share, bound float64) bool { return share < bound }},
	{">", func(share, bound float64) bool { return share > bound }},
}

// ParsePromises reads a list of promises with commas between them: a figure, <=, >=, < or >, and a share (0..1). The
// figures are fpr (share of the benign requests denied), cleared (share of CRS's false positives let through), kept
// (share of CRS's true positives denied) and caught (share of all attacks denied).
func ParsePromises(text string) (Promises, error) {
	var list Promises
	for _, part := range strings.Split(text, ",") {
		p, err := parsePromise(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func parsePromise(text string) (promise, error) {
	for _, r := range relations {
		figure, bound, found := strings.Cut(text, r.sign)
		if !found {
			continue
		}
		p := promise{figure: strings.TrimSpace(figure), relation: r.sign}
		if _, known := figures[p.figure]; !known {
			return p, fmt.Errorf("evaluation: figure %q is not known (want one of %s)", p.figure,
				strings.Join(slices.Sorted(maps.Keys(figures)), ", "))
		}
		var err error
		if p.bound, err = strconv.ParseFloat(strings.TrimSpace(bound), 64); err != nil || !(p.bound >= 0 && p.bound <= 1) {
			return p, fmt.Errorf("evaluation: bound %q of %s is no share (want 0 to 1, such as 0.01)", strings.TrimSpace(bound), p.figure)
		}
		return p, nil
	}
	return promise{}, fmt.Errorf("evaluation: promise %q has no relation (want such as fpr<=0.01)", text)
}

// ErrBroken marks a promise that an evaluation did not keep.
var ErrBroken = errors.New("promise broken")

// Check names every promise that the totals break; nil if there is none. A share of nothing keeps no promise: a file
// without attacks must not pass for one whose attacks are all caught.
func (list Promises) Check(t Totals) error {
	var broken []error
	for _, p := range list {
		part, whole := figures[p.figure](t)
		if whole == 0 {
			broken = append(broken, fmt.Errorf("evaluation: %w: %v: there is nothing to take a share of", ErrBroken, p))
			continue
		}
		share := float64(part) / float64(whole)
		for _, r := range relations {
			if r.sign == p.relation && !r.holds(share, p.bound) {
				broken = append(broken, fmt.Errorf("evaluation: %w: %v: it is %.4g (%d of %d)", ErrBroken, p, share, part, whole))
			}
		}
	}
	return errors.Join(broken...)
}

func (p promise) String() string {
	return p.figure + p.relation + strconv.FormatFloat(p.bound, 'g', -1, 64)
}
