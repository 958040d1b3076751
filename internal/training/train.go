// SPDX-License-Identifier: Apache-2.0

package training

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"

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
// sites' requests, as it will be on a site that the model has never seen. What CRS flags of normal traffic, of
// noise and of attacks then weighs its leaves.
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
	parts.Forest, err = forest.Train(c.normalVectors(p, measures), p.Forest, rand.New(rand.NewPCG(p.Seed, 0)))
	if err != nil {
		return nil, err
	}
	if p.Schema == features.Verdict {
		if parts.Forest, err = c.weigh(parts.Forest, measures, p); err != nil {
			return nil, err
		}
	}
	if err := calibrate(&parts, c.Tuning); err != nil {
		return nil, err
	}
	return model.New(parts)
}

// weigh learns the leaf weights of a forest from what CRS flags. Without flagged requests of both kinds every leaf counts the
// same, as in a forest that nobody weighed.
func (c *Corpus) weigh(f *forest.Forest, measures [folds]*features.Extractor, p Params) (*forest.Forest, error) {
	var rows [][]float32
	var harmful []bool
	add := func(group string, v *request.View, attack bool) {
		for _, row := range flaggedVectors(measures[fold(group)], v) {
			rows, harmful = append(rows, row), append(harmful, attack)
		}
	}
	var contexts []string
	if p.Augment {
		contexts = c.contexts()
	}
	rng := rand.New(rand.NewPCG(p.Seed, 7))
	for i := range c.Normal {
		n := &c.Normal[i]
		add(n.Group, &n.View, false)
		if v, ok := n.inContext(contexts, rng); ok {
			add(n.Group, &v, false)
		}
	}
	for i := range c.Noise {
		add(c.Noise[i].Group, &c.Noise[i].View, false)
	}
	rng = rand.New(rand.NewPCG(p.Seed, 2))
	for i := range c.Harmful {
		h := &c.Harmful[i]
		add(h.Group, &h.View, true)
		if v, ok := h.inContext(contexts, rng); ok {
			add(h.Group, &v, true)
		}
	}
	if !slices.Contains(harmful, true) || !slices.Contains(harmful, false) {
		return f, nil
	}
	return f.Weigh(rows, harmful)
}

// fold tells to which part a group belongs.
func fold(group string) int {
	h := fnv.New32a()
	h.Write([]byte(group))
	return int(h.Sum32() % folds)
}

// normalVectors measures the normal requests that CRS denies, each at every paranoia level at which it does: a second
// verdict is asked about no others. For a schema that does not look at CRS's matches, and where CRS denies too few to grow
// trees on, it measures all of them.
func (c *Corpus) normalVectors(p Params, measures [folds]*features.Extractor) (rows [][]float32) {
	if p.Schema == features.Verdict {
		for i := range c.Normal {
			rows = append(rows, flaggedVectors(measures[fold(c.Normal[i].Group)], &c.Normal[i].View)...)
		}
		if len(rows) >= p.Forest.Subsample {
			return rows
		}
	}
	var s features.Scratch
	rows = rows[:0]
	for i := range c.Normal {
		v := c.Normal[i].View.AtParanoia(request.ParanoiaLevels)
		measures[fold(c.Normal[i].Group)].Extract(&s, &v)
		rows = append(rows, slices.Clone(s.Vector))
	}
	return rows
}

// flaggedVectors measures a request at the paranoia levels at which CRS denies it.
func flaggedVectors(x *features.Extractor, v *request.View) (rows [][]float32) {
	var s features.Scratch
	for pl := 1; pl <= request.ParanoiaLevels; pl++ {
		if at := v.AtParanoia(pl); at.Denied() {
			x.Extract(&s, &at)
			rows = append(rows, slices.Clone(s.Vector))
		}
	}
	return rows
}

// calibrate makes the calibration of each paranoia level on the tuning requests that CRS flags at it.
func calibrate(parts *model.Parts, tuning []Normal) error {
	x := parts.Extractor()
	var s features.Scratch
	for pl := 1; pl <= request.ParanoiaLevels; pl++ {
		sites := map[string][]float64{}
		for i := range tuning {
			if v := tuning[i].View.AtParanoia(pl); v.Denied() {
				x.Extract(&s, &v)
				group := tuning[i].Group
				sites[group] = append(sites[group], parts.Forest.Anomaly(s.Vector))
			}
		}
		c, err := model.Calibrate(slices.Collect(maps.Values(sites)))
		if err != nil {
			return fmt.Errorf("training: paranoia level %d: %w", pl, err)
		}
		parts.Calibration[pl-1] = c
	}
	return nil
}
