// SPDX-License-Identifier: Apache-2.0

package rivals

import (
	"math"
	"sync"

	"github.com/mlverdict/mlverdict/internal/scoreboard"
	"github.com/mlverdict/mlverdict/internal/training"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/features"
	"github.com/mlverdict/mlverdict/model/forest"
	"github.com/mlverdict/mlverdict/model/request"
)

// Logistic weighs the model's own features by logistic regression, one for each paranoia level, on the training
// requests that CRS denies there. It tells what the forest is worth.
func Logistic(m *model.Model, material *Material) (scoreboard.Contender, error) {
	c := scoreboard.Contender{Described: scoreboard.Described{Name: "logistic",
		Doc: "logistic regression on the model's features, trained on training traffic and training attacks in envelopes"}}
	normal, attacks, err := material.Vectors(m)
	if err != nil {
		return c, err
	}
	var fits [scoreboard.Levels]regression
	var done sync.WaitGroup
	for i := range fits {
		done.Go(func() { fits[i] = fit(normal[i], attacks[i]) })
	}
	done.Wait()
	p := m.Parts()
	c.NewJudge = func() scoreboard.Judge {
		x := &features.Extractor{Schema: p.Schema, Chains: p.Chains, Rules: p.Rules}
		var s features.Scratch
		return func(sample *scoreboard.Sample, level int) float64 {
			v := sample.View.AtParanoia(level)
			x.Extract(&s, &v)
			return fits[level-1].logit(s.Vector) // unlike the probability, it never saturates
		}
	}
	return c, nil
}

// Vectors measures one half of the training traffic with evidence counted on the other half, by paranoia level: what
// CRS denies there.
func (material *Material) Vectors(m *model.Model) (normal, attacks [scoreboard.Levels][][]float32, err error) {
	p := training.Defaults()
	p.Schema = m.Parts().Schema
	p.Forest = forest.Params{Trees: 1, Subsample: 256} // only its witnesses are wanted
	half, err := training.Train(&material.Counting, p)
	if err != nil {
		return normal, attacks, err
	}
	parts := half.Parts()
	x := &features.Extractor{Schema: parts.Schema, Chains: parts.Chains, Rules: parts.Rules}
	var s features.Scratch
	measure := func(views []request.View, into *[scoreboard.Levels][][]float32) {
		for level := 1; level <= scoreboard.Levels; level++ {
			for i := range views {
				if v := views[i].AtParanoia(level); v.Denied() {
					x.Extract(&s, &v)
					into[level-1] = append(into[level-1], append([]float32(nil), s.Vector...))
				}
			}
		}
	}
	measure(material.MeasuredNormal, &normal)
	measure(material.MeasuredAttacks, &attacks)
	return normal, attacks, nil
}

// regression is a logistic regression over standardised features.
type regression struct {
	mean, scale, weight []float64
	bias                float64
}

// steps and rate of the gradient descent; more steps move no weight by a hundredth.
const (
	steps = 500
	rate  = 1.0
	decay = 1e-4 // ridge
)

// fit maximises the likelihood, normal and attack weighing the same, by gradient descent from zero: deterministic.
func fit(normal, attacks [][]float32) regression {
	all := append(append([][]float32{}, normal...), attacks...)
	if len(normal) == 0 || len(attacks) == 0 {
		return regression{}
	}
	n := len(all[0])
	r := regression{make([]float64, n), make([]float64, n), make([]float64, n), 0}
	for j := range n {
		var sum, squares float64
		for _, row := range all {
			sum += float64(row[j])
			squares += float64(row[j]) * float64(row[j])
		}
		r.mean[j] = sum / float64(len(all))
		r.scale[j] = 1 / max(math.Sqrt(max(squares/float64(len(all))-r.mean[j]*r.mean[j], 0)), 1e-9)
	}
	gradient := make([]float64, n)
	for range steps {
		clear(gradient)
		bias := 0.0
		for i, row := range all {
			target, weight := 0.0, 0.5/float64(len(normal))
			if i >= len(normal) {
				target, weight = 1, 0.5/float64(len(attacks))
			}
			miss := weight * (1/(1+math.Exp(-r.logit(row))) - target)
			for j := range n {
				gradient[j] += miss * (float64(row[j]) - r.mean[j]) * r.scale[j]
			}
			bias += miss
		}
		for j := range n {
			r.weight[j] -= rate * (gradient[j] + decay*r.weight[j])
		}
		r.bias -= rate * bias
	}
	return r
}

// logit is the logarithm of the odds that a row is an attack.
func (r *regression) logit(row []float32) float64 {
	logit := r.bias
	for j := range r.weight {
		logit += r.weight[j] * (float64(row[j]) - r.mean[j]) * r.scale[j]
	}
	return logit
}
