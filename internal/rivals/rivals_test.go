// SPDX-License-Identifier: Apache-2.0

package rivals

import (
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/exclusions"
	"github.com/mlverdict/mlverdict/internal/scoreboard"
	"github.com/mlverdict/mlverdict/internal/synthetic"
	"github.com/mlverdict/mlverdict/model/request"
)

// view is a request of three values that rules matched, given as rule, points and the index of the value.
func view(matches ...[3]int) request.View {
	v := request.View{Paranoia: 1, Limit: 5, Values: []request.Value{
		{Place: request.Query, Name: "q", Text: "x"}, {Place: request.Query, Name: "odd name", Text: "y"}, {Place: request.Cookie, Name: "_ga", Text: "z"},
	}}
	for _, m := range matches {
		v.Earned[0] += m[1]
		v.Matches = append(v.Matches, request.Match{Rule: m[0], Paranoia: 1, Score: m[1], Spans: []request.Span{{Lo: int32(m[2]), Hi: int32(m[2]) + 1}}})
	}
	return v
}

func TestSearchTakesWhatCostsLeast(t *testing.T) {
	// Rule 1 is the false positives' and no attack's; rule 2 clears as many and loses the attacks.
	normal := []request.View{view([3]int{1, 5, 0}), view([3]int{1, 5, 0}), view([3]int{2, 5, 0}), view([3]int{2, 5, 0})}
	attacks := []request.View{view([3]int{2, 5, 0}), view([3]int{3, 5, 0})}
	found := search(normal, attacks, 1, nil, nil)
	assert.Equal(t, []exclusions.Exclusion{{Rule: 1}, {Rule: 2}}, found.list)
	assert.InDeltaSlice(t, []float64{0.5, 1}, found.at, 1e-6)
	assert.InDelta(t, 0.5, cleared(&normal[0], found.when, nil), 1e-6)
	assert.InDelta(t, 1, cleared(&attacks[0], found.when, nil), 1e-6)
	assert.True(t, math.IsInf(cleared(&attacks[1], found.when, nil), 1), "rule 3 stays")
	both := view([3]int{1, 5, 0}, [3]int{2, 3, 0})
	assert.InDelta(t, 0.5, cleared(&both, found.when, nil), 1e-6, "3 points are below the limit")
	assert.Equal(t, found, search(normal, attacks, 1, nil, nil), "the same twice")
}

func TestSearchExcludesVariables(t *testing.T) {
	// The rule's false positives stand in a cookie, its attacks in an argument.
	normal := []request.View{view([3]int{1, 5, 2}), view([3]int{1, 5, 2})}
	attacks := []request.View{view([3]int{1, 5, 0}), view([3]int{1, 5, 1})}
	found := search(normal, attacks, 1, targets, nil)
	require.Len(t, found.list, 1)
	assert.Equal(t, 1, found.list[0].Rule)
	assert.Equal(t, "cookie", found.list[0].Kind)
	assert.True(t, math.IsInf(cleared(&attacks[0], found.when, targets), 1))
	// A name that could not be written stands for its kind alone.
	for _, u := range exclusions.Units(&attacks[1], targets) {
		assert.Equal(t, []exclusions.Exclusion{{Rule: 1}, {Rule: 1, Kind: "args"}}, u.By)
	}
}

func TestFit(t *testing.T) {
	var normal, attacks [][]float32
	for i := range 100 {
		normal = append(normal, []float32{float32(i % 10), float32(i % 7)})
		attacks = append(attacks, []float32{float32(i%10) + 20, float32(i % 7)})
	}
	r, err := fit(normal, attacks)
	require.NoError(t, err)
	again, err := fit(normal, attacks)
	require.NoError(t, err)
	assert.Equal(t, r, again)
	assert.Less(t, r.logit([]float32{5, 3}), -1.0)
	assert.Greater(t, r.logit([]float32{25, 3}), 1.0)
	assert.InDelta(t, 0, r.weight[1], 0.01, "what says nothing weighs nothing")
	none, err := fit(nil, attacks)
	require.NoError(t, err)
	assert.Zero(t, none.logit([]float32{1, 2}), "without normal requests there is nothing to tell apart")
}

func TestVectorsReplaceAFormerFileWhenTheyAreComplete(t *testing.T) {
	path := filepath.Join(t.TempDir(), "train.csv")
	read := func() string {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		return string(text)
	}
	require.NoError(t, os.WriteFile(path, []byte("former"), 0o600))
	require.NoError(t, writeCSV(path, func(write func(int, string, []float32)) {
		write(1, "", []float32{0.5, 2})
		assert.Equal(t, "former", read())
		write(2, "key", []float32{3})
	}))
	assert.Equal(t, "1,0.5,2\n2,key,3\n", read())
}

func TestOutsidersReadWhatTheScriptWrites(t *testing.T) {
	var sample scoreboard.Sample
	for r := range synthetic.Attacks(1, 1) {
		sample.Request = r
	}
	digest := sample.Digest()
	path := filepath.Join(t.TempDir(), "scores.csv")
	require.NoError(t, os.WriteFile(path, []byte("2,"+hex.EncodeToString(digest[:])+",1.5,0.25\n"), 0o600))
	list, err := Outsiders(path)
	require.NoError(t, err)
	require.Len(t, list, 2)
	assert.Equal(t, 1.5, list[0].NewJudge()(&sample, 2))
	assert.Equal(t, 0.25, list[1].NewJudge()(&sample, 2))
	assert.True(t, math.IsInf(list[0].NewJudge()(&sample, 1), 1), "a request without a score stays denied")

	require.NoError(t, os.WriteFile(path, []byte("2,00,x,0.25\n"), 0o600))
	_, err = Outsiders(path)
	assert.ErrorContains(t, err, "rivals: ")
	_, err = Outsiders(path + ".none")
	assert.ErrorContains(t, err, "scripts/one_class.py writes it")
}
