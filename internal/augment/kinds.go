// SPDX-License-Identifier: Apache-2.0

package augment

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/traffic"
)

// Kind is a sort of rows that can be made.
type Kind struct {
	Name         string
	Label        string // traffic.Benign or traffic.Attack
	Doc          string
	NeedsNormal  bool   // normal requests to make them from
	NeedsAttacks bool   // payloads to make them from
	Least, Most  int    // orders of the Markov chain; 0 where there is none
	Order        int    // the usual one
	Units        []Unit // that the Markov chain can go by, the usual one first

	rows func(*maker) (iter.Seq[*traffic.Request], error)
}

// Options are what can be chosen of a kind.
type Options struct {
	Order int  // of the Markov chain; 0 = the usual one
	Unit  Unit // of the Markov chain; "" = the usual one
}

// maker is what the rows of a kind are made with.
type maker struct {
	Kind
	Options
	*Sources
	rng *rand.Rand
	ctx context.Context
}

// Check tells what of the options the kind cannot have.
func (k *Kind) Check(o Options) error {
	switch {
	case k.Most == 0 && o.Order != 0:
		return fmt.Errorf("augment: %s has no Markov chain to give an order", k.Name)
	case k.Most == 0 && o.Unit != "":
		return fmt.Errorf("augment: %s has no Markov chain to give a unit", k.Name)
	case o.Order != 0 && (o.Order < k.Least || o.Order > k.Most):
		return fmt.Errorf("augment: %s of order %d (want %d to %d)", k.Name, o.Order, k.Least, k.Most)
	case o.Unit != "" && !slices.Contains(k.Units, o.Unit):
		return fmt.Errorf("augment: %s by %s (want %s)", k.Name, o.Unit, k.Units[0])
	}
	return nil
}

// Rows yields rows of the kind: without end, except where CRS confirms no more of them. It ends early when ctx is done.
func (k *Kind) Rows(ctx context.Context, s *Sources, o Options, rng *rand.Rand) (iter.Seq[*traffic.Request], error) {
	switch {
	case k.NeedsNormal && len(s.Normal) == 0:
		return nil, fmt.Errorf("augment: %s is made from normal requests with arguments: there is none", k.Name)
	case k.NeedsAttacks && len(s.Payloads) == 0:
		return nil, fmt.Errorf("augment: %s is made from bare payloads: there is none", k.Name)
	}
	if err := k.Check(o); err != nil {
		return nil, err
	}
	if o.Order == 0 {
		o.Order = k.Order
	}
	if o.Unit == "" && k.Most > 0 {
		o.Unit = k.Units[0]
	}
	rows, err := k.rows(&maker{*k, o, s, rng, ctx})
	if err != nil {
		return nil, err
	}
	return func(yield func(*traffic.Request) bool) {
		n := 0
		for r := range rows {
			r.Set, r.Origin, r.Label, r.Src = "augment-"+k.Name, "mlverdict", k.Label, fmt.Sprintf("%s#%d", k.Name, n)
			if n++; ctx.Err() != nil || !yield(r) {
				return
			}
		}
	}, nil
}

// Kinds lists all kinds.
func Kinds() (list []Kind) {
	for i := range families {
		list = append(list, Kind{
			Name: "noise-" + families[i].Name, Label: traffic.Benign, Doc: "noise: " + families[i].Doc,
			rows: func(m *maker) (iter.Seq[*traffic.Request], error) {
				return m.placed(families[i].Texts(AnyLength, m.rng)), nil
			},
		})
	}
	list = append(list,
		Kind{Name: "markov-benign", Label: traffic.Benign, NeedsNormal: true, Least: 1, Most: MaxOrder, Order: 3, Units: []Unit{Characters, Tokens},
			Doc: "text of a Markov chain of normal values", rows: normalMarkov},
		Kind{Name: "markov-negative", Label: traffic.Benign, NeedsAttacks: true, Least: 1, Most: 2, Order: 2, Units: []Unit{Characters},
			Doc: "text of a Markov chain of the characters of payloads, of an order too low to make attacks", rows: negativeMarkov},
		Kind{Name: "markov-attack", Label: traffic.Attack, NeedsAttacks: true, Least: 3, Most: MaxOrder, Order: 4, Units: []Unit{Characters, Tokens},
			Doc: "text of a Markov chain of payloads that is none of them and that CRS denies at paranoia level 1", rows: attackMarkov},
	)
	for _, m := range []struct {
		name, doc string
		mutation  Mutation
	}{
		{"characters", "random characters in normal values", Sprinkle},
		{"permute", "normal values with their words in another order", Permute},
		{"merge", "normal values with pieces of others in them", Merge},
		{"ngrams", "normal values with words of attacks between their words", Seed},
	} {
		list = append(list, Kind{Name: "mutate-" + m.name, Label: traffic.Benign, Doc: m.doc, NeedsNormal: true, rows: mutated(m.mutation)})
	}
	for _, c := range []struct {
		name, doc string
		context   Context
	}{
		{"append", "payloads behind normal values", Append},
		{"insert", "payloads inside normal values", Insert},
		{"wrap", "payloads between normal values", Wrap},
	} {
		list = append(list, Kind{Name: "context-" + c.name, Label: traffic.Attack, Doc: c.doc, NeedsNormal: true, NeedsAttacks: true, rows: inContext(c.context)})
	}
	return list
}

// placed puts each text into a request, at any place.
func (m *maker) placed(texts iter.Seq[string]) iter.Seq[*traffic.Request] {
	return func(yield func(*traffic.Request) bool) {
		for text := range texts {
			if !yield(put(text, m.envelope(m.rng), Place(m.rng.IntN(Places)), m.rng)) {
				return
			}
		}
	}
}

func normalMarkov(m *maker) (iter.Seq[*traffic.Request], error) {
	chain, err := LearnMarkov(m.Normal, m.Unit, m.Options.Order)
	if err != nil {
		return nil, err
	}
	return m.placed(chain.Texts(AnyLength, m.rng)), nil
}

func negativeMarkov(m *maker) (iter.Seq[*traffic.Request], error) {
	chain, err := LearnMarkov(m.payloadTexts(), m.Unit, m.Options.Order)
	if err != nil {
		return nil, err
	}
	return m.placed(m.novel(chain.Texts(AnyLength, m.rng))), nil
}

func attackMarkov(m *maker) (iter.Seq[*traffic.Request], error) {
	chain, err := LearnMarkov(m.payloadTexts(), m.Unit, m.Options.Order)
	if err != nil {
		return nil, err
	}
	replayer, err := replay.New()
	if err != nil {
		return nil, err
	}
	return confirmed(m.ctx, replayer, m.novel(chain.Texts(AnyLength, m.rng))), nil
}

func mutated(mutate Mutation) func(*maker) (iter.Seq[*traffic.Request], error) {
	return func(m *maker) (iter.Seq[*traffic.Request], error) {
		return m.placed(func(yield func(string) bool) {
			for yield(mutate(m.Normal[m.rng.IntN(len(m.Normal))], m.Normal, m.rng)) {
			}
		}), nil
	}
}

func inContext(context Context) func(*maker) (iter.Seq[*traffic.Request], error) {
	return func(m *maker) (iter.Seq[*traffic.Request], error) {
		return func(yield func(*traffic.Request) bool) {
			for {
				payload := m.Payloads[m.rng.IntN(len(m.Payloads))]
				text := context(payload.Payload, m.Normal, m.rng)
				r := put(text, m.envelope(m.rng), Place(m.rng.IntN(Places)), m.rng)
				r.Class = payload.Class
				if !yield(r) {
					return
				}
			}
		}, nil
	}
}

func (m *maker) payloadTexts() []string {
	texts := make([]string, len(m.Payloads))
	for i, p := range m.Payloads {
		texts[i] = p.Payload
	}
	return texts
}

// novel leaves out the texts that are payloads already. It ends when it finds none but these.
func (m *maker) novel(texts iter.Seq[string]) iter.Seq[string] {
	known := map[string]struct{}{}
	for _, text := range m.payloadTexts() {
		known[text] = struct{}{}
	}
	return func(yield func(string) bool) {
		repeated := 0
		for text := range texts {
			if _, old := known[text]; old {
				if repeated++; repeated == patience {
					return
				}
				continue
			}
			repeated = 0
			if !yield(text) {
				return
			}
		}
	}
}
