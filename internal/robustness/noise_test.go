// SPDX-License-Identifier: Apache-2.0

package robustness_test

import (
	"context"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/augment"
	"github.com/mlverdict/mlverdict/internal/robustness"
	"github.com/mlverdict/mlverdict/internal/synthetic"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/request"
)

// always is a family of one text.
func always(text string) robustness.NoiseFamily {
	return robustness.NoiseFamily{Name: text, Doc: "one text", Texts: func(augment.Lengths, *rand.Rand) iter.Seq[string] {
		return func(yield func(string) bool) {
			for yield(text) {
			}
		}
	}}
}

func run(t *testing.T, n robustness.Noise) *robustness.NoiseReport {
	t.Helper()
	if n.Model == nil {
		n.Model = model.Default()
	}
	report, err := n.Run(context.Background())
	require.NoError(t, err)
	return report
}

// A plain attack is flagged each time, both ways; plain words never are.
func TestNoiseCounts(t *testing.T) {
	const attack, words = "1' UNION SELECT password FROM users WHERE 'a'='a'-- ", "wintercoat"
	var advanced atomic.Int64
	report := run(t, robustness.Noise{Texts: 5001, Requests: 45, Families: []robustness.NoiseFamily{always(attack), always(words)},
		Advance: func(n int) { advanced.Add(int64(n)) }})
	require.Len(t, report.Families, 2)
	got := report.Families[0]
	assert.Equal(t, robustness.Rate{Texts: 5001, Flagged: 5001, Rate: 1, Bound: 1}, got.Alone)
	assert.Equal(t, robustness.Rate{Texts: 45, Flagged: 45, Rate: 1, Bound: 1}, got.Whole)
	assert.Equal(t, 45, got.CRS)
	require.Len(t, got.Worst, 1, "each text once")
	assert.Equal(t, attack, got.Worst[0].Text)
	got = report.Families[1]
	assert.Zero(t, got.Alone.Flagged)
	assert.Zero(t, got.Whole.Flagged)
	assert.Zero(t, got.CRS)
	assert.Empty(t, got.Worst)
	assert.EqualValues(t, 2*(5001+45), advanced.Load())
	assert.Equal(t, model.Default().ID(), report.Model)
}

// The bound is that of Clopper and Pearson, one-sided: the rule of three where nothing was flagged.
func TestNoiseBound(t *testing.T) {
	report := run(t, robustness.Noise{Texts: 3000, Families: []robustness.NoiseFamily{always("hello")}})
	assert.InDelta(t, 3.0/3000, report.Families[0].Alone.Bound, 1e-5)
	assert.Zero(t, report.Families[0].Whole.Bound, "nothing was tried")

	mixed := robustness.NoiseFamily{Name: "one of twenty", Texts: func(augment.Lengths, *rand.Rand) iter.Seq[string] {
		return slices.Values(append(slices.Repeat([]string{"hello"}, 19), "1' UNION SELECT password FROM users-- "))
	}}
	report = run(t, robustness.Noise{Texts: 20, Families: []robustness.NoiseFamily{mixed}})
	assert.Equal(t, 1, report.Families[0].Alone.Flagged)
	assert.InDelta(t, 0.2161, report.Families[0].Alone.Bound, 1e-4) // tables of the binomial distribution
}

func TestNoiseIsDeterministic(t *testing.T) {
	n := robustness.Noise{Seed: 3, Texts: 4100, Requests: 25, Families: robustness.TokenNoise()[9:10]}
	first := run(t, n)
	assert.Equal(t, first, run(t, n))
	n.Seed = 4
	assert.NotEqual(t, first.Families, run(t, n).Families)
}

// The embedded model takes few letters and digits for an attack, and far more of SQL's pieces: a suite that did not
// see the difference would be worth nothing.
func TestNoiseOfTheEmbeddedModel(t *testing.T) {
	families := slices.DeleteFunc(robustness.TokenNoise(), func(f robustness.NoiseFamily) bool { return f.Name != "ascii" && f.Name != "sql" })
	rate := map[string]float64{}
	for _, f := range run(t, robustness.Noise{Seed: 1, Texts: 5000, Families: families}).Families {
		rate[f.Family] = f.Alone.Rate
	}
	assert.Less(t, rate["ascii"], 0.01)
	assert.Greater(t, rate["sql"], 10*rate["ascii"])
}

// withRules is the embedded model with the rules of normal requests that each have one value with a suspicious stretch of so many
// bytes, and one rule that matched it.
func withRules(t *testing.T, stretch int, matched map[string]int, requests int) *model.Model {
	t.Helper()
	counts := evidence.NewRuleCounts()
	for text, rule := range matched {
		for i := range requests {
			counts.Add(&request.View{
				Values:  []request.Value{{Place: request.Query, Name: "q", Text: text}},
				Matches: []request.Match{{Rule: rule, Paranoia: 1, Score: 5, Spans: []request.Span{{Lo: 0, Hi: 1}}}},
			}, []int{stretch}, strconv.Itoa(i))
		}
	}
	parts := model.Default().Parts()
	parts.Rules = evidence.CompileRules(counts, nil)
	m, err := model.New(parts)
	require.NoError(t, err)
	return m
}

// The rule that is said to match a text alone is one that matches normal texts of about that length: 942420 wants eight marks and is
// usual on short stretches of long texts, and two bytes with it were taken for an attack. Where there is none, it is the typical one
// of all texts: without a rule no text would be flagged.
func TestTheRuleAloneMatchesTextsOfThatLength(t *testing.T) {
	const attack = "1'or'1'='1"
	found := model.Default().Parts().Chains.Scan(&evidence.Scanner{}, attack)
	require.Positive(t, found.Evidence)
	long := strings.Repeat("a long text ", 100)
	for want, matched := range map[int]map[string]int{
		942431: {long: 942420, long + "and more": 942420, "a-short-1": 942431},
		942420: {long: 942420},
	} {
		m := withRules(t, found.Hi-found.Lo, matched, 100)
		worst := run(t, robustness.Noise{Model: m, Texts: 1, Families: []robustness.NoiseFamily{always(attack)}}).Families[0].Worst
		require.Len(t, worst, 1)
		assert.Equal(t, want, worst[0].Rule)
	}
}

func TestNoiseErrors(t *testing.T) {
	n := robustness.Noise{Model: model.Default(), Texts: 10_000, Families: robustness.TokenNoise()[:1]}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := n.Run(ctx)
	assert.ErrorIs(t, err, context.Canceled)

	content, err := os.ReadFile(waftest.Model(t, 50))
	require.NoError(t, err)
	n.Model = withRules(t, 0, nil, 0)
	_, err = n.Run(context.Background())
	assert.ErrorContains(t, err, "knows no rule against attacks")

	n.Model, err = model.Read(content)
	require.NoError(t, err)
	_, err = n.Run(context.Background())
	assert.ErrorContains(t, err, "schema thesis-26/1 has no payload evidence")
}

func TestMarkovNoise(t *testing.T) {
	s := augment.NewSources(rand.New(rand.NewPCG(1, 1)))
	for r := range synthetic.Benign(50, 1) {
		s.Add(r)
	}
	for r := range synthetic.Payloads(50, 1) {
		s.Add(r)
	}
	families, err := robustness.MarkovNoise(s)
	require.NoError(t, err)
	var names []string
	for _, f := range families {
		names = append(names, f.Name)
	}
	assert.Equal(t, []string{"markov-normal-1", "markov-normal-2", "markov-normal-3", "markov-normal-4", "markov-normal-5", "markov-normal-6",
		"markov-payloads-1", "markov-payloads-2"}, names)
	report := run(t, robustness.Noise{Texts: 100, Families: families})
	assert.Len(t, report.Families, 8)
}

func TestNoiseMarkdown(t *testing.T) {
	report := run(t, robustness.Noise{Texts: 100, Requests: 10, Families: []robustness.NoiseFamily{always("1' OR `a|b`\n UNION SELECT password FROM users-- "), always("hello")}})
	page := report.Markdown("make noise")
	assert.Contains(t, page, "    make noise\n")
	assert.Contains(t, page, "Model `"+report.Model+"`")
	assert.Contains(t, page, "| hello | one text | 100 | 0 (0 %) | 3 % | 10 | 0 | 0 (0 %) | 26 % |\n")
	assert.Contains(t, page, "`1' OR \\x60a\\x7cb\\x60\\x0a UNION SELECT password FROM users-- ` |\n", "marks that would break the table are escaped")
}

func TestPut(t *testing.T) {
	page := robustness.Put("# Page\n", "noise", "one\n")
	assert.Equal(t, "# Page\n\n<!-- noise: begin -->\none\n<!-- noise: end -->\n", page)
	page = robustness.Put(page, "padding", "two\n")
	page = robustness.Put(page, "noise", "three\n")
	assert.Equal(t, "# Page\n\n<!-- noise: begin -->\nthree\n<!-- noise: end -->\n\n<!-- padding: begin -->\ntwo\n<!-- padding: end -->\n", page)
	assert.Equal(t, "<!-- noise: begin -->\none\n<!-- noise: end -->\n", robustness.Put("", "noise", "one\n"))
}
