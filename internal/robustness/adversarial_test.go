// SPDX-License-Identifier: Apache-2.0

package robustness_test

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/augment"
	"github.com/mlverdict/mlverdict/internal/evaluation"
	"github.com/mlverdict/mlverdict/internal/robustness"
	"github.com/mlverdict/mlverdict/internal/waf"
)

// weak is an attack that CRS finds at paranoia level 1 and loses after few mutations.
var weak = robustness.Attack{Class: "sqli", Payload: "1 or 1=1 or 2=2"}

func suiteOf(t *testing.T, score, budget int) *robustness.Adversarial {
	m, path := fixed(t, score)
	return &robustness.Adversarial{Model: m, ModelPath: path, Seed: 1, Attacks: append([]robustness.Attack{weak}, someAttacks...), Budget: budget,
		Defences: robustness.Defences([]int{1})}
}

func adversarial(t *testing.T, score, budget int) *robustness.AdversarialReport {
	t.Helper()
	suite := suiteOf(t, score, budget)
	var queries atomic.Int64
	suite.Advance = func(n int) { queries.Add(int64(n)) }
	report, err := suite.Run(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, len(suite.Attacks)*budget*2, queries.Load(), "the bar ends at its end")
	return report
}

func TestAdversarialFindsWhatPasses(t *testing.T) {
	report := adversarial(t, 3, 24)
	w, err := waf.New(waf.Config{Paranoia: 1})
	require.NoError(t, err)
	require.NotEmpty(t, report.Evasions)
	for _, e := range report.Evasions {
		out, err := evaluation.Replay(w, augment.InQuery(e.Mutated))
		require.NoError(t, err)
		assert.False(t, out.CRSDenied, "%+v", e)
		out, err = evaluation.Replay(w, augment.InQuery(e.Payload))
		require.NoError(t, err)
		assert.True(t, out.CRSDenied, "%+v", e)
		assert.NotEmpty(t, e.Mutators)
		assert.Equal(t, e.Second, e.Score > 0, "CRS alone asks no model")
		assert.LessOrEqual(t, e.Queries, 24)
	}
	for _, c := range report.Cells {
		assert.Zero(t, c.ByModel, "the model flags everything")
		assert.LessOrEqual(t, c.Passes+c.Evades, c.Attacks)
		if c.Class == "sqli" {
			assert.Equal(t, 1, c.Passes, "the harmless one")
		}
	}
	assert.Equal(t, asJSON(t, report), asJSON(t, adversarial(t, 3, 24)), "same seed, same figures")
	assert.Contains(t, report.Markdown("the command"), "| PL 1, CRS alone | all | 7 | 1 |")
}

// A model that clears everything has nothing to evade.
func TestAdversarialPassesBare(t *testing.T) {
	for _, c := range adversarial(t, 90, 2).Cells {
		if c.Second {
			assert.Equal(t, c.Attacks, c.Passes)
			assert.Zero(t, c.Evades)
		}
	}
}
