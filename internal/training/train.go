// SPDX-License-Identifier: Apache-2.0

package training

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/features"
	"github.com/mlverdict/mlverdict/model/forest"
	"github.com/mlverdict/mlverdict/model/request"
)

// Params steer training. The zero value is not useful; start from [Defaults].
type Params struct {
	Schema    *features.Schema
	Forest    forest.Params
	Seed      uint64
	Augment   bool   // learn from noise and mutated attacks, and weigh by texts in context; the corpus has what [Corpus.AddGrammars] and [Corpus.AddMadeUp] made up
	NGrams    int    // n-grams that the payload chains keep
	Carriers  uint32 // a word of normal traffic is known by name when at least so many requests carry it
	AttackUse uint32 // a word of attacks, when at least so many payloads do
}

// Defaults returns the parameters of the embedded model.
func Defaults() Params {
	return Params{
		Schema: features.Verdict,
		Forest: forest.Params{Trees: 300, Subsample: 128},
		Seed:   1, Augment: true,
		NGrams: 150_000, Carriers: 20, AttackUse: 3,
	}
}

// folds is the number of parts that the corpus is split into, normal traffic by site, noise by family and attacks by group, so
// that no request is measured with evidence that it helped to learn.
const folds = 3

// Train makes a model. The same corpus and parameters give the same bytes.
//
// The forest is grown on normal traffic measured across folds: the evidence of a request is learned from the other
// sites' requests, as it will be on a site that the model has never seen. What CRS denies of normal traffic, of noise and
// of attacks then weighs its leaves, and normal traffic that neither the evidence nor the weights know calibrates the score.
func Train(c *Corpus, p Params) (*model.Model, error) {
	if len(c.Normal) == 0 {
		return nil, errors.New("training: no normal requests (rows with the label benign)")
	}
	parts := model.Parts{
		Schema: p.Schema, Seed: p.Seed,
		Data: model.Data{Digest: c.Digest(), Normal: len(c.Normal), Attacks: len(c.Attacks), Tuning: len(c.Tuning)},
	}
	measures, err := c.learn(&parts, p)
	if err != nil {
		return nil, err
	}
	var normal []denial
	for i := range c.Normal {
		normal = measures.denials(normal, c.Normal[i].Group, &c.Normal[i].View)
	}
	parts.Forest, err = forest.Train(c.growing(normal, measures, p), p.Forest, rand.New(rand.NewPCG(p.Seed, 0)))
	if err != nil {
		return nil, err
	}
	var weighing []denial
	if p.Schema == features.Verdict {
		weighing = c.weighing(normal, measures, p)
	}
	judges, err := weigh(parts.Forest, weighing)
	if err != nil {
		return nil, err
	}
	parts.Forest = judges[folds]
	if err := c.calibrate(&parts, normal, judges[:folds]); err != nil {
		return nil, err
	}
	return model.New(parts)
}

// denial is a request at a paranoia level at which CRS denies it: a second verdict is asked about no others.
type denial struct {
	paranoia int
	vector   []float32 // its features
	group    string
	attack   bool
}

// appendDenials measures a request at the paranoia levels at which CRS denies it.
func appendDenials(list []denial, x *features.Extractor, group string, v *request.View) []denial {
	var s features.Scratch
	for pl := 1; pl <= request.ParanoiaLevels; pl++ {
		if at := v.AtParanoia(pl); at.Denied() {
			x.Extract(&s, &at)
			list = append(list, denial{paranoia: pl, vector: slices.Clone(s.Vector), group: group})
		}
	}
	return list
}

// extractors measure the requests of each fold by what was learned without it.
type extractors [folds]*features.Extractor

// denials appends those of a request.
func (x *extractors) denials(list []denial, group string, v *request.View) []denial {
	return appendDenials(list, x[fold(group)], group, v)
}

// fold tells to which part a group belongs.
func fold(group string) int {
	h := fnv.New32a()
	h.Write([]byte(group))
	return int(h.Sum32() % folds)
}

// growing lists what trees grow on: normal requests that CRS denies. For a schema that does not look at CRS's matches, and
// where CRS denies too few to grow trees on, it is all normal requests.
func (c *Corpus) growing(normal []denial, measures *extractors, p Params) (rows [][]float32) {
	if p.Schema == features.Verdict && len(normal) >= p.Forest.Subsample {
		for _, d := range normal {
			rows = append(rows, d.vector)
		}
		return rows
	}
	var s features.Scratch
	for i := range c.Normal {
		v := c.Normal[i].View.AtParanoia(request.ParanoiaLevels)
		measures[fold(c.Normal[i].Group)].Extract(&s, &v)
		rows = append(rows, slices.Clone(s.Vector))
	}
	return rows
}

// weighing lists what weighs leaves: what CRS denies of normal traffic, noise and attacks, and of what can be put into normal text
// the same there.
func (c *Corpus) weighing(normal []denial, measures *extractors, p Params) []denial {
	var contexts []string
	if p.Augment {
		contexts = c.contexts()
	}
	list := slices.Clone(normal)
	rng := rand.New(rand.NewPCG(p.Seed, 7))
	for i := range c.Normal {
		if v, ok := c.Normal[i].inContext(contexts, rng); ok {
			list = measures.denials(list, c.Normal[i].Group, &v)
		}
	}
	for i := range c.Noise {
		list = measures.denials(list, c.Noise[i].Group, &c.Noise[i].View)
	}
	harmless := len(list)
	rng = rand.New(rand.NewPCG(p.Seed, 2))
	for i := range c.Harmful {
		h := &c.Harmful[i]
		list = measures.denials(list, h.Group, &h.View)
		if v, ok := h.inContext(contexts, rng); ok {
			list = measures.denials(list, h.Group, &v)
		}
	}
	for i := harmless; i < len(list); i++ {
		list[i].attack = true
	}
	return list
}

// weigh learns the leaf weights of a forest from denials: once without each fold, and last of all with every one. Without denials
// of both kinds every leaf counts the same, as in a forest that nobody weighed.
func weigh(f *forest.Forest, denials []denial) (weighed [folds + 1]*forest.Forest, err error) {
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for without := range weighed {
		group.Go(func() (err error) {
			var rows [][]float32
			var attack []bool
			for _, d := range denials {
				if fold(d.group) != without {
					rows, attack = append(rows, d.vector), append(attack, d.attack)
				}
			}
			weighed[without] = f
			if slices.Contains(attack, true) && slices.Contains(attack, false) {
				weighed[without], err = f.Weigh(rows, attack)
			}
			return err
		})
	}
	return weighed, group.Wait()
}

// calibrate makes the calibration of each paranoia level on normal requests that CRS denies at it: those of the tuning sites,
// and those that train, each as a site that the model has never seen, by the evidence and the leaves that were learned without
// its fold (cross-conformal prediction: Vovk, Annals of Mathematics and Artificial Intelligence 74, 2015). judges are the
// forests that know all folds but one.
func (c *Corpus) calibrate(parts *model.Parts, normal []denial, judges []*forest.Forest) error {
	var sites [request.ParanoiaLevels]map[string][]float64
	for i := range sites {
		sites[i] = map[string][]float64{}
	}
	add := func(f *forest.Forest, d denial) {
		site := sites[d.paranoia-1]
		site[d.group] = append(site[d.group], f.Anomaly(d.vector))
	}
	if c.crosses() {
		for _, d := range normal {
			if f := judges[fold(d.group)]; f.Weighed() == parts.Forest.Weighed() { // else its anomalies are of another kind
				add(f, d)
			}
		}
	}
	var tuning []denial
	for i := range c.Tuning {
		tuning = appendDenials(tuning, parts.Extractor(), c.Tuning[i].Group, &c.Tuning[i].View)
	}
	for _, d := range tuning {
		add(parts.Forest, d)
	}
	for i, site := range sites {
		calibration, err := model.Calibrate(slices.Collect(maps.Values(site)))
		if err != nil {
			return fmt.Errorf("training: paranoia level %d: %w", i+1, err)
		}
		parts.Calibration[i] = calibration
	}
	return nil
}

// crosses reports whether the normal requests of each fold can be judged by those of the others: they are not all of one fold.
func (c *Corpus) crosses() bool {
	return slices.ContainsFunc(c.Normal, func(n Normal) bool { return fold(n.Group) != fold(c.Normal[0].Group) })
}
