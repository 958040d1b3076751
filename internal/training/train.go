// SPDX-License-Identifier: Apache-2.0

package training

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"

	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/features"
	"github.com/mlverdict/mlverdict/model/forest"
	"github.com/mlverdict/mlverdict/model/request"
)

// Params steer training. The zero value is not useful; start from [Defaults].
type Params struct {
	Schema    *features.Schema
	Forest    forest.Params
	Seed      uint64
	NGrams    int    // n-grams that the payload chains keep
	Carriers  uint32 // a word of normal traffic is known by name when at least so many requests carry it
	AttackUse uint32 // a word of attacks, when at least so many payloads do
}

// Defaults returns the parameters of the embedded model.
func Defaults() Params {
	return Params{
		Schema: features.Verdict,
		Forest: forest.Params{Trees: 100, Subsample: 4096},
		Seed:   1,
		NGrams: 150_000, Carriers: 20, AttackUse: 5,
	}
}

// folds is the number of parts that normal traffic is split into, by site, so that no request is measured with
// evidence that it helped to count.
const folds = 3

// witnesses are the counts of one part of the corpus.
type witnesses struct {
	normal *evidence.Counts
	rules  *evidence.Rules
}

// Train makes a model. The same corpus and parameters give the same bytes.
//
// The forest is grown on normal traffic measured across folds: the evidence of a request is counted on the other
// sites' requests, as it will be on a site that the model has never seen.
func Train(c *Corpus, p Params) (*model.Model, error) {
	if len(c.Normal) == 0 {
		return nil, errors.New("training: no normal requests (rows with the label benign)")
	}
	parts := model.Parts{
		Schema: p.Schema, Seed: p.Seed,
		Data: model.Data{Digest: c.Digest(), Normal: len(c.Normal), Attacks: len(c.Attacks), Tuning: len(c.Tuning)},
	}
	var vectors [][]float32
	if p.Schema == features.Verdict {
		if len(c.Attacks) == 0 {
			return nil, errors.New("training: no attack payloads (rows with the label attack)")
		}
		var err error
		if vectors, err = c.learnEvidence(&parts, p); err != nil {
			return nil, err
		}
	} else {
		x := &features.Extractor{Schema: p.Schema}
		for i := range c.Normal {
			vectors = append(vectors, measure(x, &c.Normal[i].View)...)
		}
	}
	var err error
	if parts.Forest, err = forest.Train(vectors, p.Forest, rand.New(rand.NewPCG(p.Seed, 0))); err != nil {
		return nil, err
	}
	if err := calibrate(&parts, c.Tuning); err != nil {
		return nil, err
	}
	return model.New(parts)
}

// learnEvidence counts both witnesses, puts them into parts and returns the vectors of the normal requests.
func (c *Corpus) learnEvidence(parts *model.Parts, p Params) ([][]float32, error) {
	vocabulary := c.vocabulary(p)
	var attacks [evidence.Classes]*evidence.Counts
	for i := range attacks {
		attacks[i] = evidence.NewCounts()
	}
	for _, a := range c.Attacks {
		attacks[a.Class].Add(a.Text, vocabulary, 1)
	}
	var parted [folds]witnesses
	for f := range parted {
		parted[f] = witnesses{evidence.NewCounts(), evidence.NewRules()}
	}
	for i := range c.Normal {
		w := &parted[fold(c.Normal[i].Group)]
		view := &c.Normal[i].View
		w.rules.Add(view)
		for j := range view.Values {
			w.normal.Add(view.Values[j].Text, vocabulary, 1)
		}
	}
	extractors := [folds]*features.Extractor{}
	for f := range parted {
		x, err := compile(parted[:], f, attacks, p)
		if err != nil {
			return nil, err
		}
		extractors[f] = x
	}
	all, err := compile(parted[:], folds, attacks, p)
	if err != nil {
		return nil, err
	}
	parts.Chains, parts.Rules = all.Chains, all.Rules
	var vectors [][]float32
	for i := range c.Normal {
		vectors = append(vectors, measure(extractors[fold(c.Normal[i].Group)], &c.Normal[i].View)...)
	}
	return vectors, nil
}

// compile makes an extractor from all parts but one.
func compile(parted []witnesses, without int, attacks [evidence.Classes]*evidence.Counts, p Params) (*features.Extractor, error) {
	normal, rules := evidence.NewCounts(), evidence.NewRules()
	for f, w := range parted {
		if f != without {
			normal.Merge(w.normal)
			rules.Merge(w.rules)
		}
	}
	chains, err := evidence.CompileChains(normal, attacks, p.NGrams)
	if err != nil {
		return nil, err
	}
	return &features.Extractor{Schema: p.Schema, Chains: chains, Rules: rules}, nil
}

// vocabulary takes the words that enough different requests or payloads carry: a word of one visitor or of one
// payload must not enter a model.
func (c *Corpus) vocabulary(p Params) evidence.Vocabulary {
	normal, attack := evidence.WordCounts{}, evidence.WordCounts{}
	var texts []string
	for i := range c.Normal {
		texts = texts[:0]
		for _, v := range c.Normal[i].View.Values {
			texts = append(texts, v.Text)
		}
		normal.Add(texts...)
	}
	for _, a := range c.Attacks {
		attack.Add(a.Text)
	}
	v := evidence.Vocabulary{}
	normal.AtLeast(p.Carriers, v)
	attack.AtLeast(p.AttackUse, v)
	return v
}

// fold tells to which part a group belongs.
func fold(group string) int {
	h := fnv.New32a()
	h.Write([]byte(group))
	return int(h.Sum32() % folds)
}

// measure returns the vectors of a normal request: one for each paranoia level at which it looks different.
func measure(x *features.Extractor, v *request.View) [][]float32 {
	var s features.Scratch
	var out [][]float32
	for pl := 1; pl <= request.ParanoiaLevels; pl++ {
		at := v.AtParanoia(pl)
		if pl > 1 && !gains(v, pl) {
			continue
		}
		x.Extract(&s, &at)
		out = append(out, append([]float32(nil), s.Vector...))
	}
	return out
}

// gains reports whether a match of exactly this paranoia level exists.
func gains(v *request.View, pl int) bool {
	for i := range v.Matches {
		if v.Matches[i].Paranoia == pl {
			return true
		}
	}
	return false
}

// calibrate makes the calibration of each paranoia level on the tuning requests that CRS flags at it.
func calibrate(parts *model.Parts, tuning []request.View) error {
	x := &features.Extractor{Schema: parts.Schema, Chains: parts.Chains, Rules: parts.Rules}
	var s features.Scratch
	for pl := 1; pl <= request.ParanoiaLevels; pl++ {
		var anomalies []float64
		for i := range tuning {
			if v := tuning[i].AtParanoia(pl); v.Denied() {
				x.Extract(&s, &v)
				anomalies = append(anomalies, parts.Forest.Anomaly(s.Vector))
			}
		}
		c, err := model.Calibrate(anomalies)
		if err != nil {
			return fmt.Errorf("training: paranoia level %d: %w", pl, err)
		}
		parts.Calibration[pl-1] = c
	}
	return nil
}
