// SPDX-License-Identifier: Apache-2.0

package robustness_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/robustness"
)

func mutation(t *testing.T, score int) *robustness.MutationReport {
	t.Helper()
	m, _ := fixed(t, score)
	steps := 0
	suite := robustness.Mutation{Model: m, Seed: 1, Attacks: someAttacks, Levels: []int{1, 4}, Advance: func() { steps++ }}
	report, err := suite.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, len(someAttacks), steps)
	return report
}

// Against a model that flags everything, only CRS can be got past; against one that clears everything, nothing is left
// to lose.
func TestMutationTellsWhoIsGotPast(t *testing.T) {
	report := mutation(t, 3)
	kinds, attacks := map[string]bool{}, 0
	for _, c := range report.Cells {
		assert.Zero(t, c.Cleared)
		assert.Equal(t, c.Attacks, c.Kept+c.CRSPasses, "%+v", c)
		assert.Equal(t, 3*c.Attacks, c.Before)
		kinds[c.Kind] = true
		if c.Kind == robustness.RandomMutations && c.Variant == "30" && c.Level == 1 {
			attacks += c.Attacks
			assert.Greater(t, c.Applied, c.Attacks, "more than one mutation each")
		}
	}
	assert.Len(t, kinds, 3)
	assert.Equal(t, len(someAttacks)-1, attacks, "all but the harmless one")
	assert.Empty(t, report.Losses)
	assert.Equal(t, asJSON(t, report), asJSON(t, mutation(t, 3)), "same seed, same figures")
	assert.Contains(t, report.Markdown("the command"), "| 1 | sqli | 30 | 2 |")

	assert.Empty(t, mutation(t, 90).Cells)
}
