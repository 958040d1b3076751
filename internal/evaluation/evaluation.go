// SPDX-License-Identifier: Apache-2.0

// Package evaluation counts what CRS alone and CRS with the second verdict deny of recorded requests. Every request
// is replayed through Coraza with the plugin's own rules: the count is of real interruptions.
package evaluation

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/corazawaf/coraza/v3"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/verdict"
)

// Group counts the requests of one set, label and class.
type Group struct {
	Set          string `json:"set"`
	Label        string `json:"label"`
	Class        string `json:"class"`
	Requests     int    `json:"requests"`
	EngineDenied int    `json:"engine_denied"` // refused by Coraza itself; counted in neither of the following
	CRSDenied    int    `json:"crs_denied"`    // CRS's blocking inbound score reached its threshold
	Denied       int    `json:"denied"`        // denied in the mode that was evaluated
}

// Count is the part of a Group that adds up over groups.
type Count struct {
	Requests  int `json:"requests"`
	CRSDenied int `json:"crs_denied"`
	Denied    int `json:"denied"`
}

// Totals adds the groups up by label.
type Totals struct {
	Benign Count `json:"benign"`
	Attack Count `json:"attack"`
}

// Outcome is what became of one request.
type Outcome struct {
	CRSScore  int  // blocking inbound anomaly score
	Refused   bool // Coraza itself refused the request, before CRS could judge it: too large, a body that cannot be parsed
	CRSDenied bool // the score reached CRS's threshold
	Denied    bool // the evaluated mode denied it
}

// Replay runs one request through a WAF that has the plugin loaded.
func Replay(w coraza.WAF, row *traffic.Request) (out Outcome, err error) {
	tx := w.NewTransaction()
	defer func() { err = errors.Join(err, tx.Close()) }()
	if _, err := row.Replay(tx); err != nil {
		return out, err
	}
	v := verdict.Of(tx)
	if v.Decision == verdict.Engine {
		out.Refused = true
		return out, nil
	}
	if v.CRS.Threshold == 0 { // counting this as passed would be a wrong figure
		return out, errors.New("evaluation: the WAF has no CRS (TX:inbound_anomaly_score_threshold is unset)")
	}
	out.CRSScore, out.CRSDenied, out.Denied = v.CRS.Score, v.CRS.Flags(), v.Denied
	return out, nil
}

// Tally collects groups.
type Tally struct {
	groups map[[3]string]*Group
}

// NewTally returns an empty tally.
func NewTally() *Tally { return &Tally{map[[3]string]*Group{}} }

// Add counts one request.
func (t *Tally) Add(row *traffic.Request, out Outcome) {
	key := [3]string{row.Set, row.Label, row.Class}
	g, ok := t.groups[key]
	if !ok {
		g = &Group{Set: row.Set, Label: row.Label, Class: row.Class}
		t.groups[key] = g
	}
	g.Requests++
	switch {
	case out.Refused:
		g.EngineDenied++
	default:
		g.CRSDenied += count(out.CRSDenied)
		g.Denied += count(out.Denied)
	}
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// Groups lists the groups by set, label and class.
func (t *Tally) Groups() []Group {
	list := make([]Group, 0, len(t.groups))
	for _, g := range t.groups {
		list = append(list, *g)
	}
	slices.SortFunc(list, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.Set, b.Set), cmp.Compare(a.Label, b.Label), cmp.Compare(a.Class, b.Class))
	})
	return list
}

// Totals adds up, leaving out the benign requests of the named sets.
func (t *Tally) Totals(excludeBenign []string) Totals {
	var sum Totals
	for _, g := range t.Groups() {
		c := &sum.Attack
		if g.Label == traffic.Benign {
			if slices.Contains(excludeBenign, g.Set) {
				continue
			}
			c = &sum.Benign
		}
		c.Requests += g.Requests
		c.CRSDenied += g.CRSDenied
		c.Denied += g.Denied
	}
	return sum
}

// Run replays the rows on workers goroutines (0 = one a core) and tallies them. In the rows' order, each is handed to
// counted with what became of it, or to failed where it cannot be replayed, and then it is counted nowhere.
func Run(ctx context.Context, w coraza.WAF, rows iter.Seq[*traffic.Request], workers int,
	failed func(*traffic.Request, error), counted func(*traffic.Request, Outcome)) (*Tally, error) {
	type result struct {
		row *traffic.Request
		out Outcome
		err error
	}
	tally := NewTally()
	for r := range replay.Parallel(ctx, rows, workers, func(row *traffic.Request) result {
		out, err := Replay(w, row)
		return result{row, out, err}
	}) {
		if r.err != nil {
			failed(r.row, r.err)
			continue
		}
		tally.Add(r.row, r.out)
		counted(r.row, r.out)
	}
	return tally, ctx.Err()
}
