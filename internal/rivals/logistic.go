// SPDX-License-Identifier: Apache-2.0

package rivals

import (
	"fmt"
	"math"
	"slices"

	"golang.org/x/sync/errgroup"
	"gonum.org/v1/gonum/optimize"
	"gonum.org/v1/gonum/stat"

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
	var fitting errgroup.Group
	for i := range fits {
		fitting.Go(func() (err error) {
			fits[i], err = fit(normal[i], attacks[i])
			return err
		})
	}
	if err := fitting.Wait(); err != nil {
		return c, err
	}
	c.NewJudge = func() scoreboard.Judge {
		x := m.Parts().Extractor()
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
	x := half.Parts().Extractor()
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

// ridge keeps the weights finite where normal traffic and attacks can be told apart without a mistake.
const ridge = 1e-4

// fit maximises the likelihood, normal and attack weighing the same, from zero until the gradient vanishes (BFGS): the
// same rows give the same weights.
func fit(normal, attacks [][]float32) (regression, error) {
	if len(normal) == 0 || len(attacks) == 0 {
		return regression{}, nil
	}
	all := slices.Concat(normal, attacks)
	n := len(all[0])
	r := standardised(all)
	// loss returns the negative log-likelihood at x, the weights and then the bias, and puts its gradient where there is room.
	loss := func(gradient, x []float64) float64 {
		r.weight, r.bias = x[:n], x[n]
		sum := 0.0
		clear(gradient)
		for i, row := range all {
			sign, weight := -1.0, 0.5/float64(len(normal))
			if i >= len(normal) {
				sign, weight = 1, 0.5/float64(len(attacks))
			}
			margin := sign * r.logit(row)
			sum += weight * (max(-margin, 0) + math.Log1p(math.Exp(-math.Abs(margin)))) // log(1 + e^-margin), never too large
			if gradient != nil {
				slope := -sign * weight / (1 + math.Exp(margin))
				for j := range n {
					gradient[j] += slope * (float64(row[j]) - r.mean[j]) * r.scale[j]
				}
				gradient[n] += slope
			}
		}
		for j := range n {
			sum += ridge / 2 * x[j] * x[j]
			if gradient != nil {
				gradient[j] += ridge * x[j]
			}
		}
		return sum
	}
	found, err := optimize.Minimize(optimize.Problem{
		Func: func(x []float64) float64 { return loss(nil, x) },
		Grad: func(gradient, x []float64) { loss(gradient, x) },
	}, make([]float64, n+1), &optimize.Settings{GradientThreshold: 1e-6}, &optimize.BFGS{})
	if err != nil {
		return r, fmt.Errorf("rivals: logistic regression: %w", err)
	}
	r.weight, r.bias = found.X[:n], found.X[n]
	return r, nil
}

// standardised prepares a regression whose features have mean 0 and deviation 1 over the rows.
func standardised(rows [][]float32) (r regression) {
	column := make([]float64, len(rows))
	for j := range rows[0] {
		for i, row := range rows {
			column[i] = float64(row[j])
		}
		mean, deviation := stat.PopMeanStdDev(column, nil)
		r.mean, r.scale = append(r.mean, mean), append(r.scale, 1/max(deviation, 1e-9))
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
