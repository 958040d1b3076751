// SPDX-License-Identifier: Apache-2.0

package robustness_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/augment"
	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/robustness"
	"github.com/mlverdict/mlverdict/internal/scoreboard"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/training"
	"github.com/mlverdict/mlverdict/model"
)

// sample replays a request with an argument and labels it.
func sample(t *testing.T, replayer *replay.Replayer, set, label, class, argument string) scoreboard.Sample {
	t.Helper()
	row := augment.InQuery(argument)
	row.Set, row.Label, row.Class = set, label, class
	rec, err := replayer.Replay(row)
	require.NoError(t, err)
	return scoreboard.Sample{Request: row, View: rec.View, Refused: rec.Refused}
}

// The table has the figures of the suites that it runs, and the same of both models where they are one.
func TestAugmentation(t *testing.T) {
	m := model.Default()
	replayer, err := replay.New()
	require.NoError(t, err)
	families := slices.DeleteFunc(robustness.TokenNoise(), func(f robustness.NoiseFamily) bool { return f.Name != "sql" })
	suite := robustness.Augmentation{
		Before: robustness.Candidate{Model: m}, After: robustness.Candidate{Model: m}, Seed: 5,
		Noise:       robustness.Noise{Seed: 5, Texts: 2000, Families: families},
		Padding:     robustness.Padding{Seed: 5, Attacks: someAttacks, Sizes: robustness.SizesUpTo(1), Levels: []int{1}},
		Mutation:    robustness.Mutation{Seed: 5, Attacks: someAttacks[:2], Levels: []int{1, 4}},
		Adversarial: robustness.Adversarial{Seed: 5, Attacks: someAttacks[:2], Budget: 5, Defences: []robustness.Defence{{Level: 1, Second: true}}},
		Data: &scoreboard.Data{Test: []scoreboard.Sample{
			sample(t, replayer, "benign-browsing-dev", traffic.Benign, "", "hello"), sample(t, replayer, training.HardSet, traffic.Benign, "", "hello"),
			sample(t, replayer, "attack-mgm", traffic.Attack, "sqli", someAttacks[1].Payload), sample(t, replayer, "attack-mgm", traffic.Attack, "xss", someAttacks[2].Payload),
		}},
		Progress: func(string, int) func(int) { return func(int) {} },
	}
	report, err := suite.Run(t.Context())
	require.NoError(t, err)
	figures := map[string]robustness.Figure{}
	for _, f := range report.Figures {
		assert.Equal(t, f.Before, f.After, f.What)
		if f.Level == 1 || f.Part == "noise" {
			figures[f.Part+": "+f.What] = f
		}
	}

	noise := suite.Noise
	noise.Model = m
	noises, err := noise.Run(t.Context())
	require.NoError(t, err)
	require.NotZero(t, noises.Families[0].Alone.Flagged)
	assert.Equal(t, robustness.Measure{Value: noises.Families[0].Alone.Rate, Of: 2000}, figures["noise: sql taken for an attack"].Before)
	mutation := suite.Mutation
	mutation.Model = m
	mutated, err := mutation.Run(t.Context())
	require.NoError(t, err)
	kept := 0
	for _, c := range mutated.Cells {
		if c.Kind == robustness.RandomMutations && c.Variant == "30" && c.Level == 1 {
			kept += c.Kept
		}
	}
	assert.Equal(t, robustness.Measure{Value: float64(kept) / 2, Of: 2}, figures["mutation: still denied, mutations: 30"].Before)

	one := robustness.Measure{Value: 1, Of: 1}
	assert.Equal(t, robustness.Measure{Value: 5.0 / 6, Of: 6}, figures["padding: payloads denied bare"].Before, "but for the harmless one")
	assert.Equal(t, robustness.Measure{}, figures["padding: of those of up to 12 bytes, still denied in 1 kB"].Before, "there are none")
	assert.Equal(t, 2, figures["adversarial search: denied attacks that evade"].Before.Of)
	assert.Equal(t, robustness.Measure{Value: 0, Of: 1}, figures["detection: benign-browsing-dev (benign) denied"].Before)
	assert.Equal(t, robustness.Measure{Value: 0, Of: 1}, figures["hard negatives: benign-hard (benign) denied"].Before)
	assert.Equal(t, robustness.Measure{Value: 1, Of: 2}, figures["detection: attack-mgm (attack) denied"].Before)
	for _, class := range []string{"benign", "sqli", "xss"} {
		assert.Equal(t, one, figures["classes: "+class+", recall"].Before, class)
	}
	assert.Equal(t, robustness.Measure{Value: 1, Of: 3}, figures["classes: macro average, F1"].Before)
	assert.Equal(t, robustness.Measure{Value: 1, Of: 4}, figures["classes: all classes, macro average, F1"].Before)
}

// A row has a figure at each paranoia level, by their meaning.
func TestAugmentationMarkdown(t *testing.T) {
	figure := func(what string, level int, unit robustness.Unit, before, after float64) robustness.Figure {
		return robustness.Figure{Part: "p", What: what, Level: level, Unit: unit, Before: robustness.Measure{Value: before, Of: 9},
			After: robustness.Measure{Value: after, Of: 9}}
	}
	none := figure("d", 3, robustness.BadShare, 0.5, 0)
	none.After.Of = 0
	report := robustness.AugmentationReport{Before: "aaa", After: "bbb", Seed: 7, Figures: []robustness.Figure{
		figure("a", 4, robustness.BadShare, 0.5, 0.001), figure("b", 1, robustness.GoodShare, 0.5, 1), figure("b", 2, robustness.GoodShare, 0, 0.25),
		figure("c", 1, robustness.Score, 0.6, 0.99), none,
	}}
	page := report.Markdown("the command")
	_, table, _ := strings.Cut(page, "|--:|\n")
	assert.Equal(t, `| p | a ↓ |  |  |  | 50.0 % → 0.1 % (-100 %) |
| p | b ↑ | 50.0 % → 100.0 % | 0 % → 25.0 % |  |  |
| p | c ↑ | 0.600 → 0.990 |  |  |  |
| p | d ↓ |  |  | 50.0 % → – |  |
`, table)
	assert.Contains(t, page, "    the command\n")
	assert.Contains(t, page, "Before: model `aaa`; after: model `bbb`; seed 7.")
}
