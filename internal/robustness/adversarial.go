// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/mlverdict/mlverdict/internal/replay"
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

// Run searches. Every attack has a random source of its own, so that the order of the work changes nothing.
func (s *Adversarial) Run(ctx context.Context) (*AdversarialReport, error) {
	report := &AdversarialReport{Model: s.Model.ID(), Seed: s.Seed, Budget: s.Budget, Evasions: []Evasion{}}
	cells := map[AdversarialCell]int{}
	var running sync.RWMutex // held by every search
	ctx, stop := context.WithCancel(ctx)
	defer func() { // Parallel lets go of searches that are stopped; none outlives Run
		stop()
		running.Lock()
		//lint:ignore SA2001 to wait is all
		running.Unlock()
	}()
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
			running.RLock()
			defer running.RUnlock()
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
	if err := ctx.Err(); err != nil {
		return result{}, err
	}
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
