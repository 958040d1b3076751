// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/corazawaf/coraza/v3"

	"github.com/mlverdict/mlverdict/internal/evaluation"
	"github.com/mlverdict/mlverdict/internal/mutate"
	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/model"
)

// Adversarial searches, for attacks that are denied, mutated ones that are not, as WAF-A-MoLE does (Demetrio, Valenza,
// Costa and Lagorio, 2020): the candidate nearest to passing is mutated next. Every query is a transaction with CRS, and
// the adversary sees all: CRS's score and, where the model is asked, its anomaly.
type Adversarial struct {
	Model     *model.Model
	ModelPath string // of Model; empty = the embedded one
	Seed      uint64
	Attacks   []Attack // such as can be mutated
	Budget    int      // queries for an attack and a defence
	Defences  []Defence
	Finished  *Searches         // where finished searches are taken from and go to; nil = nowhere
	Advance   func(queries int) // called from any goroutine; may be nil
}

// Defence is what the adversary is up against.
type Defence struct {
	Level  int  `json:"paranoia_level"`
	Second bool `json:"second_verdict"` // both have to deny; otherwise CRS decides alone
}

func (d Defence) String() string {
	if d.Second {
		return fmt.Sprintf("PL %d with the second verdict", d.Level)
	}
	return fmt.Sprintf("PL %d, CRS alone", d.Level)
}

// Defences lists both ways at some paranoia levels.
func Defences(levels []int) (list []Defence) {
	for _, second := range []bool{false, true} {
		for _, level := range levels {
			list = append(list, Defence{level, second})
		}
	}
	return list
}

// AdversarialReport is what was found.
type AdversarialReport struct {
	Model    string            `json:"model"`
	Seed     uint64            `json:"seed"`
	Budget   int               `json:"budget"`
	Cells    []AdversarialCell `json:"cells"`
	Evasions []Evasion         `json:"evasions"`
}

// AdversarialCell counts the attacks of a class against a defence.
type AdversarialCell struct {
	Defence
	Class   string `json:"class"`
	Attacks int    `json:"attacks"`
	Passes  int    `json:"passes"`  // not denied as they are: nothing to search
	Evades  int    `json:"evades"`  // found to pass after mutations
	ByModel int    `json:"cleared"` // of those that evade: CRS still denied, the model cleared it
	Queries int    `json:"queries"` // all that were asked
}

// Evasion is a mutated attack that passes a defence.
type Evasion struct {
	Defence
	Class    string   `json:"class"`
	Payload  string   `json:"payload"`
	Mutated  string   `json:"mutated"`
	Mutators []string `json:"mutators"`
	Queries  int      `json:"queries"`
	CRS      int      `json:"crs_score"`
	Score    int      `json:"score,omitempty"` // of the model; CRS alone does not ask it
}

// candidate is a payload that was asked about.
type candidate struct {
	payload string
	by      []string
	crs     int
	score   int
	anomaly float64

	crsDenies, denied bool
	chance            uint64 // breaks ties
}

// Run searches. Every attack has a random source of its own, so that the order of the work changes nothing.
func (s *Adversarial) Run(ctx context.Context) (*AdversarialReport, error) {
	report := &AdversarialReport{Model: s.Model.ID(), Seed: s.Seed, Budget: s.Budget, Evasions: []Evasion{}}
	cells := map[AdversarialCell]int{}
	type outcome struct {
		result result
		err    error
	}
	for _, defence := range s.Defences {
		guard, err := newGuard(s.Model, s.ModelPath, defence)
		if err != nil {
			return nil, err
		}
		i := 0
		for o := range replay.Parallel(ctx, indexes(len(s.Attacks)), 0, func(i int) outcome {
			r, err := s.search(ctx, guard, i)
			return outcome{r, err}
		}) {
			if o.err != nil {
				return nil, o.err
			}
			attack := s.Attacks[i]
			i++
			cell := entry(&report.Cells, cells, AdversarialCell{Defence: defence, Class: attack.Class})
			if e := cell.add(attack, o.result); e != nil {
				report.Evasions = append(report.Evasions, *e)
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// search finds out about one attack, unless that is known.
func (s *Adversarial) search(ctx context.Context, g *guard, i int) (result, error) {
	key := s.key(g.defence, i)
	if r, ok := s.Finished.find(key); ok {
		s.advance(s.Budget)
		return r, nil
	}
	run := s.start(g, i)
	if err := errors.Join(run.run(ctx), ctx.Err()); err != nil { // what was stopped has not ended
		return result{}, err
	}
	return run.result(), s.Finished.add(key, run.result())
}

func (s *Adversarial) advance(queries int) {
	if s.Advance != nil {
		s.Advance(queries)
	}
}

// add counts a search that has ended and returns the evasion that it found, if any.
func (c *AdversarialCell) add(attack Attack, r result) *Evasion {
	c.Attacks++
	c.Queries += r.Queries
	switch {
	case r.Passed == nil:
		return nil
	case len(r.Passed.Mutators) == 0:
		c.Passes++
		return nil
	}
	c.Evades++
	if r.Passed.CRSDenies {
		c.ByModel++
	}
	return &Evasion{c.Defence, attack.Class, attack.Payload, string(r.Passed.Payload), r.Passed.Mutators, r.Queries, r.Passed.CRS, r.Passed.Score}
}

// guard asks a defence.
type guard struct {
	defence  Defence
	model    *model.Model
	replayer *replay.Replayer
	rules    coraza.WAF // with the plugin: what it lets pass has passed; nil for CRS alone
}

func newGuard(m *model.Model, path string, d Defence) (*guard, error) {
	replayer, err := replay.NewAt(d.Level)
	if err != nil {
		return nil, err
	}
	g := &guard{defence: d, model: m, replayer: replayer}
	if d.Second {
		g.rules, err = waf.New(waf.Config{Paranoia: d.Level, Plugin: true, ModelPath: path})
	}
	return g, err
}

// ask takes a payload through CRS and, unless CRS is alone, the model.
func (g *guard) ask(payload string, by []string, chance uint64) (*candidate, error) {
	c := &candidate{payload: payload, by: by, chance: chance}
	rec, err := g.replayer.Replay(inQuery(payload))
	if err != nil {
		return nil, err
	}
	if rec.Engine != 0 { // Coraza itself refuses it
		c.crs, c.score, c.anomaly, c.denied = math.MaxInt, model.MinScore, 1, true
		return c, nil
	}
	c.crs, c.crsDenies = rec.View.Score(), rec.View.Denied()
	if !g.defence.Second {
		c.denied = c.crsDenies
		return c, nil
	}
	o, err := ask(g.model, &rec.View, g.defence.Level)
	if err != nil {
		return nil, err
	}
	c.score, c.anomaly = o.score, o.anomaly
	if c.denied = o.denied(); !c.denied {
		return c, g.confirm(payload)
	}
	return c, nil
}

// confirm sends a payload that was found to pass through the rules that deny.
func (g *guard) confirm(payload string) error {
	out, err := evaluation.Replay(g.rules, inQuery(payload))
	if err == nil && out.Denied {
		return fmt.Errorf("robustness: the rules deny %q, which CRS or the model was found to pass", payload)
	}
	return err
}

// queue yields the candidate that is nearest to passing.
type queue struct {
	list []*candidate
	less func(a, b *candidate) bool
}

func (q *queue) Len() int { return len(q.list) }
func (q *queue) Less(i, j int) bool {
	a, b := q.list[i], q.list[j]
	if q.less(a, b) != q.less(b, a) {
		return q.less(a, b)
	}
	return a.chance < b.chance
}
func (q *queue) Swap(i, j int) { q.list[i], q.list[j] = q.list[j], q.list[i] }
func (q *queue) Push(x any)    { q.list = append(q.list, x.(*candidate)) }
func (q *queue) Pop() any {
	last := q.list[len(q.list)-1]
	q.list = q.list[:len(q.list)-1]
	return last
}

// search is that of one attack. An evasion of both verdicts is one of either, so there are two queues, taken in turn:
// by CRS's score and by the model's anomaly. Against CRS alone there is the first.
type search struct {
	guard    *guard
	budget   int
	root     Attack
	mutators []mutate.Mutator
	rng      *rand.Rand
	queues   []*queue
	seen     map[string]bool
	asked    int
	evasion  *candidate
	advance  func(int)
}

func (s *Adversarial) start(g *guard, i int) *search {
	byCRS := func(a, b *candidate) bool { return a.crs < b.crs }
	byModel := func(a, b *candidate) bool { return a.anomaly < b.anomaly }
	run := &search{
		guard: g, budget: s.Budget, root: s.Attacks[i], mutators: mutate.For(s.Attacks[i].Class),
		rng: rand.New(rand.NewPCG(s.Seed, uint64(i))), queues: []*queue{{less: byCRS}}, seen: map[string]bool{}, advance: s.advance,
	}
	if g.defence.Second {
		run.queues = append(run.queues, &queue{less: byModel})
	}
	return run
}

// brood is how many children a candidate gets at a time.
const brood = 8

// run searches until something passes, the budget is spent or nothing new comes up.
func (s *search) run(ctx context.Context) error {
	if err := s.try(s.root.Payload, nil); err != nil {
		return err
	}
	for turn := 0; s.evasion == nil && s.asked < s.budget && ctx.Err() == nil; turn++ {
		q := s.queues[turn%len(s.queues)]
		if q.Len() == 0 {
			if s.idle() {
				break
			}
			continue
		}
		parent := heap.Pop(q).(*candidate)
		for range brood {
			mutated, name, ok := mutate.Any(s.mutators, parent.payload, s.rng)
			if !ok {
				break
			}
			by := append(parent.by[:len(parent.by):len(parent.by)], name)
			if err := s.try(mutated, by); err != nil {
				return err
			}
		}
	}
	s.advance(s.budget - s.asked) // what is not needed
	return nil
}

// result is how the search ended.
func (s *search) result() result {
	r := result{Queries: s.asked}
	if e := s.evasion; e != nil {
		r.Passed = &passed{[]byte(e.payload), e.by, e.crsDenies, e.crs, e.score}
	}
	return r
}

// idle reports whether nothing is left to mutate.
func (s *search) idle() bool {
	for _, q := range s.queues {
		if q.Len() > 0 {
			return false
		}
	}
	return true
}

// try asks about a payload that was not asked about before, within the budget.
func (s *search) try(payload string, by []string) error {
	if s.seen[payload] || s.evasion != nil || s.asked == s.budget {
		return nil
	}
	s.seen[payload] = true
	c, err := s.guard.ask(payload, by, s.rng.Uint64())
	if err != nil {
		return err
	}
	s.asked++
	s.advance(1)
	if !c.denied {
		s.evasion = c
		return nil
	}
	for _, q := range s.queues {
		heap.Push(q, c)
	}
	return nil
}
