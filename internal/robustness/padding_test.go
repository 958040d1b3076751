// SPDX-License-Identifier: Apache-2.0

package robustness_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/robustness"
	"github.com/mlverdict/mlverdict/model"
)

func padding(t *testing.T, m *model.Model, path string) *robustness.PaddingReport {
	t.Helper()
	steps := 0
	suite := robustness.Padding{Model: m, ModelPath: path, Seed: 1, Attacks: someAttacks, Sizes: []int{1000, 3000}, Levels: []int{2, 1}, Whole: 1}
	suite.Advance = func() { steps++ }
	report, err := suite.Run(t.Context())
	require.NoError(t, err)
	assert.LessOrEqual(t, steps, suite.Steps())
	assert.Greater(t, steps, len(someAttacks))
	return report
}

func TestPaddingCountsEveryPlaceTextAndSize(t *testing.T) {
	m, path := fixed(t, 3)
	report := padding(t, m, path)
	denied := map[int]int{}
	for _, b := range report.Bare {
		denied[b.Level] += b.Denied
	}
	assert.Equal(t, map[int]int{1: 5, 2: 5}, denied, "all but the harmless one")
	tried := map[int]int{}
	for _, c := range report.Views {
		tried[c.Level] += c.Tried
		assert.Equal(t, c.Tried, c.Denied, "the model flags everything")
		assert.Zero(t, c.Change)
	}
	assert.Equal(t, map[int]int{1: 5 * 6 * 3 * 2, 2: 5 * 6 * 3 * 2}, tried)
	assert.Len(t, report.Whole, 6*2)
	for _, c := range report.Whole {
		assert.Equal(t, 4, c.Tried, "one of each class")
		assert.Equal(t, c.CRS, c.Denied)
		if c.Text == "ascii" {
			assert.False(t, c.CRSAlone, "letters are no attack")
			assert.GreaterOrEqual(t, c.Denied, 3)
		}
	}
	assert.Empty(t, report.Losses)
	assert.Equal(t, asJSON(t, report), asJSON(t, padding(t, m, path)), "same seed, same figures")
}

// On views, a long payload is denied within letters, and what the text around it does is told.
func TestPaddingOfTheEmbeddedModel(t *testing.T) {
	suite := robustness.Padding{Model: model.Default(), Seed: 1, Sizes: []int{1000}, Levels: []int{1},
		Attacks: []robustness.Attack{{Class: "sqli", Payload: "1' UNION ALL SELECT user,password,3 FROM mysql.users WHERE '1'='1' -- "}}}
	report, err := suite.Run(t.Context())
	require.NoError(t, err)
	assert.Empty(t, report.Whole, "none was asked for")
	for _, c := range report.Views {
		if c.Text == "ascii" {
			assert.Equal(t, 1, c.Denied, "%+v", c)
		}
	}
	page := report.Markdown("the command")
	assert.Contains(t, page, "    the command\n")
	assert.NotContains(t, page, "UNION")
}
