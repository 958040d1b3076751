// SPDX-License-Identifier: Apache-2.0

package rivals

import (
	"github.com/mlverdict/mlverdict/internal/scoreboard"
	"github.com/mlverdict/mlverdict/internal/training"
	"github.com/mlverdict/mlverdict/model/features"
	"github.com/mlverdict/mlverdict/model/forest"
)

// Thesis grows the forest of F. Gilliéron's thesis: 26 statistics, 100 trees, ψ = 256, on the same normal requests and
// calibrated in the same way as ours.
func Thesis(d *scoreboard.Data) (scoreboard.Contender, error) {
	p := training.Defaults()
	p.Schema, p.Forest = features.Thesis, forest.Params{Trees: 100, Subsample: 256}
	m, err := training.Train(&d.Corpus, p)
	if err != nil {
		return scoreboard.Contender{}, err
	}
	return scoreboard.Judged("thesis", "the first article's forest: 26 statistics of a request, 100 trees, ψ = 256, threshold tuned like ours", m), nil
}
