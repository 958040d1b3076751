// SPDX-License-Identifier: Apache-2.0

package training

import (
	"crypto/sha256"
	"slices"

	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/features"
)

// Grade says how a row's label and its text go together.
type Grade int

// The grades, by the payload evidence of the text that has most of it.
const (
	Agrees      Grade = iota // a normal row below little, an attack from much on
	Doubtful                 // in between
	Contradicts              // a normal row from much on, an attack below little
	Unknown                  // an attack of which no text is known: it is no payload, and no rule against attacks matched a value
)

func (g Grade) String() string { return [...]string{"agrees", "doubtful", "contradicts", "unknown"}[g] }

// How much payload evidence makes a grade, in nats: little, e to 1, is no more than chance; e⁸ to 1 is much.
const (
	little = 1
	much   = 8
)

// Graded is a row with its grade.
type Graded struct {
	Row      *traffic.Request
	Grade    Grade
	Evidence float64 // payload evidence of an attack, nats, ≥ 0
	Text     string  // what has most of it: of an attack the whole text; of a normal row that contradicts its label the stretch, else ""
}

// Grade grades the normal rows and then the attacks, each in the order in which they came, by chains that learned from other
// groups' rows alone, from other sites and other payloads, and from word lists and grammars, whose own texts have no grade. A row
// that contradicts its label is labelled wrong, or is like no other.
func (c *Corpus) Grade(p Params) ([]Graded, error) {
	p.Augment = false // what is made up of the rows themselves is no other row
	chains, err := c.chains(p)
	if err != nil {
		return nil, err
	}
	without := func(group string) *evidence.Chains { return chains[fold(group)] }
	list := make([]Graded, 0, len(c.Normal)+len(c.attackRows))
	for i := range c.Normal {
		list = append(list, c.Normal[i].grade(&features.Extractor{Schema: p.Schema, Chains: without(c.Normal[i].Group)}))
	}
	return append(list, c.gradeAttacks(without)...), nil
}

// LeaveOutIndistinct leaves out the payloads that chains cannot tell from normal text although they learned from them, and tells how
// many there were. Lists of payloads hold headings, single words and single marks; they would teach that any text may be an attack.
// What is like no other attack stays, if it is not like normal text, and so do whole requests: what CRS matched speaks for them, too.
func (c *Corpus) LeaveOutIndistinct(p Params) (int, error) {
	attacks := c.texts()
	if len(attacks) == 0 {
		return 0, errNoAttacks
	}
	p.Augment = false
	parts := c.split(attacks, p)
	chains, err := compile(parts[:], folds, p)
	if err != nil {
		return 0, err
	}
	left, digests := map[*traffic.Request]bool{}, map[[sha256.Size]byte]bool{}
	for _, g := range c.gradeAttacks(func(string) *evidence.Chains { return chains }) {
		if g.Grade == Contradicts && g.Row.IsPayload() {
			left[g.Row], digests[g.Row.Digest()] = true, true
		}
	}
	c.Attacks = slices.DeleteFunc(c.Attacks, func(a Attack) bool { return left[a.Row] })
	c.attackRows = slices.DeleteFunc(c.attackRows, func(row *traffic.Request) bool { return left[row] })
	c.rows = slices.DeleteFunc(c.rows, func(row [sha256.Size]byte) bool { return digests[row] })
	return len(left), nil
}

// gradeAttacks grades the attacks, each by the chains of its group.
func (c *Corpus) gradeAttacks(chains func(group string) *evidence.Chains) (list []Graded) {
	texts := map[*traffic.Request][]Attack{}
	for _, a := range c.texts() {
		texts[a.Row] = append(texts[a.Row], a)
	}
	var s evidence.Scanner
	for _, row := range c.attackRows {
		if row.Set == GrammarSet {
			continue
		}
		g := Graded{Row: row, Grade: Unknown}
		for i, a := range texts[row] {
			if nats := chains(a.Group).Scan(&s, a.Text).Evidence; i == 0 || nats > g.Evidence {
				g = Graded{row, grade(nats >= much, nats < little), nats, a.Text}
			}
		}
		list = append(list, g)
	}
	return list
}

func (n *Normal) grade(x *features.Extractor) Graded {
	var s features.Scratch
	g := Graded{Row: n.Row}
	strongest := 0
	for i, v := range x.Measure(&s, nil, &n.View) {
		if v.Evidence > g.Evidence {
			g.Evidence, strongest = v.Evidence, i
		}
	}
	if g.Grade = grade(g.Evidence < little, g.Evidence >= much); g.Grade == Contradicts {
		var s evidence.Scanner
		t := x.Chains.Scan(&s, n.View.Values[strongest].Text)
		g.Text = string(s.Decoded()[t.Lo:t.Hi])
	}
	return g
}

func grade(agrees, contradicts bool) Grade {
	switch {
	case agrees:
		return Agrees
	case contradicts:
		return Contradicts
	}
	return Doubtful
}
