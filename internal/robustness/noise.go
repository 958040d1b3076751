// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/mlverdict/mlverdict/internal/augment"
	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/request"
)

// Noise measures how often a model takes noise for an attack, in two ways.
//
// Alone: the text is the only value of a request, and one CRS rule matched it. Nothing tells for the text but the text
// itself. The rule is the typical one for what it matched: of all matches of rules against attacks on normal texts of about
// that length with about as long a suspicious stretch, half are less surprising than its match. A rarer rule, or one that does not match
// texts so short, would flag some texts without any help of theirs, a more common one would clear what the text says. The scale is that of
// paranoia level 4.
//
// Whole: the text is the argument of a GET request that goes through CRS at paranoia level 4, and both have to deny it.
type Noise struct {
	Model    *model.Model
	Seed     uint64
	Texts    int // judged alone, of each family
	Requests int // sent through CRS, of each family
	Families []NoiseFamily
	Advance  func(texts int) // called, from any goroutine, after so many more texts; may be nil
}

// NoiseFamily is a source of texts that are no attacks.
type NoiseFamily struct {
	Name, Doc string
	Texts     func(augment.Lengths, *rand.Rand) iter.Seq[string]
}

// TokenNoise lists the families of independent tokens.
func TokenNoise() (list []NoiseFamily) {
	for _, f := range augment.Families() {
		list = append(list, NoiseFamily{f.Name, f.Doc, f.Texts})
	}
	return list
}

// MarkovNoise learns families of dependent characters: of normal values at every order, of payloads at the orders that are
// too low to make attacks.
func MarkovNoise(s *augment.Sources) (list []NoiseFamily, err error) {
	var payloads []string
	for _, p := range s.Payloads {
		payloads = append(payloads, p.Payload)
	}
	for _, from := range []struct {
		name, doc string
		texts     []string
		most      int
	}{
		{"normal", "a Markov chain of the characters of normal values, order %d", s.Normal, augment.MaxOrder},
		{"payloads", "a Markov chain of the characters of payloads, order %d", payloads, 2},
	} {
		for order := 1; order <= from.most && len(from.texts) > 0; order++ {
			chain, err := augment.LearnMarkov(from.texts, augment.Characters, order)
			if err != nil {
				return nil, err
			}
			list = append(list, NoiseFamily{fmt.Sprintf("markov-%s-%d", from.name, order), fmt.Sprintf(from.doc, order), chain.Texts})
		}
	}
	return list, nil
}

// NoiseReport is what was measured.
type NoiseReport struct {
	Model    string        `json:"model"`
	Seed     uint64        `json:"seed"`
	Families []NoiseResult `json:"families"`
}

// NoiseResult is what was measured of one family.
type NoiseResult struct {
	Family string      `json:"family"`
	Doc    string      `json:"doc"`
	Alone  Rate        `json:"alone"`
	Whole  Rate        `json:"whole"`
	CRS    int         `json:"crs_denied"` // of the texts of Whole, denied by CRS alone
	Worst  []NoiseText `json:"worst"`      // judged alone, the lowest scores first
}

// Rate is a share of texts.
type Rate struct {
	Texts   int     `json:"texts"`
	Flagged int     `json:"flagged"`
	Rate    float64 `json:"rate"`
	Bound   float64 `json:"upper_95"` // of the true share: one-sided, Clopper and Pearson (1934)
}

// NoiseText is a text that was flagged.
type NoiseText struct {
	Score int    `json:"score"`
	Rule  int    `json:"rule"` // that matched it
	Text  string `json:"text"`
}

// worst is how many flagged texts of a family are kept.
const worst = 3

// flags is the score at or below which a model flags a request by default.
const flags = 50

// Run measures. It ends early with ctx's error.
func (n *Noise) Run(ctx context.Context) (*NoiseReport, error) {
	rules := n.Model.Parts().Rules
	if rules == nil {
		return nil, fmt.Errorf("robustness: schema %s has no payload evidence to try", n.Model.Parts().Schema.Name)
	}
	typical, err := typicalRules(rules)
	if err != nil {
		return nil, err
	}
	var replayer *replay.Replayer
	if n.Requests > 0 {
		if replayer, err = replay.New(); err != nil {
			return nil, err
		}
	}
	report := &NoiseReport{Model: n.Model.ID(), Seed: n.Seed}
	for _, f := range n.Families {
		r := NoiseResult{Family: f.Name, Doc: f.Doc, Worst: []NoiseText{}}
		var lock sync.Mutex
		err := n.each(ctx, &f, "alone", augment.AnyLength, n.Texts, 2000, func(text string, s *scratch) error {
			rule := typical[n.extents(&s.scanner, text)]
			v := aloneView(rule, text)
			if err := n.Model.Judge(&v, &s.verdict); err != nil || s.verdict.Score > flags {
				return err
			}
			lock.Lock()
			defer lock.Unlock()
			r.Alone.Flagged++
			r.Worst = worse(r.Worst, NoiseText{s.verdict.Score, rule, text})
			return nil
		})
		if err != nil {
			return nil, err
		}
		err = n.each(ctx, &f, "whole", augment.ThroughCRS, n.Requests, 20, func(text string, s *scratch) error {
			rec, err := replayer.Replay(augment.InQuery(text))
			if err != nil || rec.Refused || !rec.View.Denied() {
				return err
			}
			if err := n.Model.Judge(&rec.View, &s.verdict); err != nil {
				return err
			}
			lock.Lock()
			defer lock.Unlock()
			r.CRS++
			if s.verdict.Score <= flags {
				r.Whole.Flagged++
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		r.Alone.of(n.Texts)
		r.Whole.of(n.Requests)
		report.Families = append(report.Families, r)
	}
	return report, nil
}

// scratch is what one batch of texts is judged with.
type scratch struct {
	scanner evidence.Scanner
	verdict model.Verdict
}

// each calls f on all cores with so many texts of a family, drawn in batches of which each has a random source of its own:
// which texts there are depends on the seed alone.
func (n *Noise) each(ctx context.Context, family *NoiseFamily, suite string, lengths augment.Lengths, texts, batch int,
	f func(string, *scratch) error) error {
	h := fnv.New64a()
	h.Write([]byte(suite + " " + family.Name))
	group, running := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for start := 0; start < texts && running.Err() == nil; start += batch {
		group.Go(func() error {
			rng := rand.New(rand.NewPCG(n.Seed^h.Sum64(), uint64(start)))
			left := min(batch, texts-start)
			var s scratch
			for text := range family.Texts(lengths, rng) {
				if err := f(text, &s); err != nil {
					return err
				}
				if left--; left == 0 || running.Err() != nil {
					break
				}
			}
			if n.Advance != nil {
				n.Advance(min(batch, texts-start))
			}
			return nil
		})
	}
	return cmp.Or(group.Wait(), ctx.Err())
}

// aloneView is a request whose only value is a text that a rule matched.
func aloneView(rule int, text string) request.View {
	return request.View{
		Method: "GET", Hour: replay.Hour, Paranoia: request.ParanoiaLevels, Earned: [4]int{5}, Limit: 5,
		Values:  []request.Value{{Place: request.Query, Name: "q", Text: text}},
		Matches: []request.Match{{Rule: rule, Paranoia: 1, Score: 5, Spans: []request.Span{{Lo: 0, Hi: 1}}}},
	}
}

// longest is the length from which on all extents are the same.
const longest = 4096

// extents are the lengths that tell how often normal traffic shows a rule's match on a value.
type extents struct{ stretch, value evidence.Extent }

func extentsOf(stretch, length int) extents {
	return extents{evidence.OfText(stretch, length), evidence.OfValue(length)}
}

// extents returns those of a text as a value.
func (n *Noise) extents(s *evidence.Scanner, text string) extents {
	stretch := 0
	if t := n.Model.Parts().Chains.Scan(s, text); t.Evidence > 0 {
		stretch = t.Hi - t.Lo
	}
	return extentsOf(stretch, len(text))
}

// typicalRules finds the typical rule for each pair of lengths. It fails where the model knows no rule against attacks.
func typicalRules(rules *evidence.Rules) (map[extents]int, error) {
	typical := map[extents]int{}
	for length := 1; length <= longest; length *= 2 {
		for stretch := 0; stretch <= longest; stretch = max(1, stretch*2) {
			e := extentsOf(stretch, length)
			if typical[e] != 0 {
				continue
			}
			// How many matches show both lengths at once is not known: no more than show either.
			typical[e] = typicalRule(rules, e, func(rule int) float64 { return min(rules.Rate(rule, e.stretch), rules.Rate(rule, e.value)) })
			if typical[e] == 0 {
				typical[e] = typicalRule(rules, e, rules.Rarity)
			}
			if typical[e] == 0 {
				return nil, errors.New("robustness: the model knows no rule against attacks that matches normal traffic: train it on more of it")
			}
		}
	}
	return typical, nil
}

// typicalRule finds the rule against attacks whose match, on texts of these lengths, is the median by surprise of the matches that
// normal traffic shows so often; 0 where it shows none.
func typicalRule(rules *evidence.Rules, e extents, often func(rule int) float64) int {
	type match struct {
		rule            int
		surprise, share float64
	}
	var matches []match
	total := 0.0
	for rule := 910000; rule < 950000; rule++ {
		share := often(rule)
		if m := (request.Match{Rule: rule}); !m.Payload() || share == 0 {
			continue
		}
		matches = append(matches, match{rule, rules.Surprise(rule, e.stretch), share})
		total += share
	}
	slices.SortFunc(matches, func(a, b match) int {
		return cmp.Or(cmp.Compare(a.surprise, b.surprise), cmp.Compare(a.rule, b.rule))
	})
	below := 0.0
	for _, m := range matches {
		if below += m.share; below >= total/2 {
			return m.rule
		}
	}
	return 0
}

// worse adds a flagged text to the worst ones: by score, then the shorter ones.
func worse(list []NoiseText, t NoiseText) []NoiseText {
	if slices.Contains(list, t) {
		return list
	}
	list = append(list, t)
	slices.SortFunc(list, func(a, b NoiseText) int {
		return cmp.Or(cmp.Compare(a.Score, b.Score), cmp.Compare(len(a.Text), len(b.Text)), cmp.Compare(a.Text, b.Text))
	})
	return list[:min(len(list), worst)]
}

// of completes the rate.
func (r *Rate) of(texts int) {
	r.Texts = texts
	if texts == 0 {
		return
	}
	r.Rate, r.Bound = float64(r.Flagged)/float64(texts), 1
	if r.Flagged < texts {
		r.Bound = distuv.Beta{Alpha: float64(r.Flagged + 1), Beta: float64(texts - r.Flagged)}.Quantile(0.95)
	}
}
