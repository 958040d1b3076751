// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"container/heap"
	"context"
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
	if rec.Refused { // Coraza itself refuses it
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
