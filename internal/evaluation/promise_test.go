// SPDX-License-Identifier: Apache-2.0

package evaluation_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/evaluation"
)

func TestPromises(t *testing.T) {
	totals := evaluation.Totals{
		Benign: evaluation.Count{Requests: 1000, CRSDenied: 100, Denied: 10},
		Attack: evaluation.Count{Requests: 500, CRSDenied: 400, Denied: 388},
	}
	nothing := evaluation.Totals{}
	for _, c := range []struct {
		text   string
		totals evaluation.Totals
		broken string
	}{
		{"fpr<=0.01,kept>=0.97", totals, ""},
		{" fpr <= 0.01 , cleared >= 0.9, caught>0.77", totals, ""},
		{"fpr<0.01", totals, "fpr<0.01: it is 0.01 (10 of 1000)"},
		{"cleared>0.9", totals, "cleared>0.9: it is 0.9 (90 of 100)"},
		{"kept>=0.98", totals, "kept>=0.98: it is 0.97 (388 of 400)"},
		{"caught>=1", totals, "caught>=1: it is 0.776 (388 of 500)"},
		{"fpr<=1", nothing, "fpr<=1: there is nothing to take a share of"},
	} {
		promises, err := evaluation.ParsePromises(c.text)
		require.NoError(t, err, c.text)
		err = promises.Check(c.totals)
		if c.broken == "" {
			assert.NoError(t, err, c.text)
			continue
		}
		assert.ErrorIs(t, err, evaluation.ErrBroken)
		assert.EqualError(t, err, "evaluation: promise broken: "+c.broken)
	}
	promises, err := evaluation.ParsePromises("fpr<0.001,kept>=0.98,cleared>=0.9")
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(promises.Check(totals).Error(), "promise broken"), "every broken one is named")
}

func TestPromisesThatCannotBeRead(t *testing.T) {
	for text, want := range map[string]string{
		"":            `evaluation: promise "" has no relation (want such as fpr<=0.01)`,
		"fpr=0.01":    `evaluation: promise "fpr=0.01" has no relation (want such as fpr<=0.01)`,
		"tpr>=0.9":    `evaluation: figure "tpr" is not known (want one of caught, cleared, fpr, kept)`,
		"fpr<=1%":     `evaluation: bound "1%" of fpr is no share (want 0 to 1, such as 0.01)`,
		"fpr<=NaN":    `evaluation: bound "NaN" of fpr is no share (want 0 to 1, such as 0.01)`,
		"kept>=97":    `evaluation: bound "97" of kept is no share (want 0 to 1, such as 0.01)`,
		"fpr<=0.1,":   `evaluation: promise "" has no relation (want such as fpr<=0.01)`,
		"fpr<=<=0.01": `evaluation: bound "<=0.01" of fpr is no share (want 0 to 1, such as 0.01)`,
	} {
		_, err := evaluation.ParsePromises(text)
		assert.EqualError(t, err, want)
	}
}

func TestBaseline(t *testing.T) {
	before := evaluation.VerdictOf(injection, evaluation.Outcome{CRSDenied: true, Denied: true})
	baseline, err := evaluation.ReadBaseline(strings.NewReader(
		`{"request":"` + before.Digest + `","crs_denied":true,"denied":true}` + "\n"))
	require.NoError(t, err)
	_, changed := baseline.Compare(injection, before)
	assert.False(t, changed)
	change, changed := baseline.Compare(injection, evaluation.VerdictOf(injection, evaluation.Outcome{CRSDenied: true}))
	assert.True(t, changed)
	assert.Equal(t, []string{"denied", "vetoed"}, []string{change.Before, change.Now})
	change, changed = baseline.Compare(hello, evaluation.VerdictOf(hello, evaluation.Outcome{}))
	assert.True(t, changed)
	assert.Equal(t, []string{"not in the baseline", "passed"}, []string{change.Before, change.Now})

	for _, text := range []string{"", "{}", `{"request":1}`, "nonsense"} {
		_, err := evaluation.ReadBaseline(strings.NewReader(text))
		assert.ErrorContains(t, err, "evaluation: baseline, verdict 1: ")
	}
}
