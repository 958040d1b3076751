// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/model/request"
)

// matched makes a request on which a rule matched a text of n bytes.
func matched(rule, n int) *request.View {
	return &request.View{
		Values:  []request.Value{{Place: request.Query, Name: "q", Text: strings.Repeat("x", n)}},
		Matches: []request.Match{{Rule: rule, Paranoia: 1, Score: 5, Spans: []request.Span{{Lo: 0, Hi: 1}}}},
	}
}

// traffic counts 100 requests of each of 10 sites: rule 1 matches long texts on all of them, rule 2 a short text once.
func traffic() *RuleCounts {
	c := NewRuleCounts()
	for site := range 10 {
		for i := range 100 {
			v := matched(1, 4000)
			if site == 0 && i == 0 {
				v = matched(2, 5)
			}
			c.Add(v, []int{0}, string(rune('a'+site)))
		}
	}
	return c
}

func TestExtents(t *testing.T) {
	for n, want := range map[int]Extent{0: 0, 8: 0, 9: 1, 16: 1, 17: 2, 1024: 7, 1025: 8, 1 << 30: 8} {
		assert.Equal(t, values+want, OfValue(n), "%d bytes", n)
		assert.Equal(t, OfValue(n), OfText(0, n), "%d bytes", n)
	}
	for _, n := range []int{20, 2000, 1 << 20} {
		assert.Equal(t, OfText(20, 20), OfText(20, n), "a stretch of 20 bytes in %d bytes", n)
	}
}

func TestSurprise(t *testing.T) {
	r := CompileRules(traffic(), nil)
	common := r.Surprise(1, OfValue(4000))
	known := r.Novelty(1, OfValue(4000))
	assert.Less(t, common, 0.1, "it matches nearly every request")
	assert.Less(t, known, 0.2, "and on every site")
	short := r.Surprise(1, OfValue(5))
	assert.Greater(t, short, 6.0, "but never a short text")
	rare := r.Surprise(2, OfValue(5))
	few := r.Novelty(2, OfValue(5))
	never := r.Surprise(3, OfValue(5))
	nowhere := r.Novelty(3, OfValue(5))
	assert.True(t, common < rare && rare < never)
	assert.True(t, known < few && few < nowhere)
	assert.InDelta(t, 0.999, r.Rarity(1), 0.001)
}

// TestHarmlessTextsLowerSurprise: what every second harmless text trips over surprises no more, though traffic never showed
// it, and what one of 200 does a little; what they show less than traffic does, or not at all, stays as it was.
func TestHarmlessTextsLowerSurprise(t *testing.T) {
	harmless := NewRuleCounts()
	for i := range 200 {
		harmless.Add(matched(5+i%2, 40), []int{0}, "noise")
	}
	harmless.Add(matched(1, 4000), []int{0}, "noise")
	harmless.Add(matched(8, 40), []int{0}, "noise")
	without, with := CompileRules(traffic(), nil), CompileRules(traffic(), harmless)
	on := OfValue(40)
	assert.Greater(t, without.Surprise(5, on), 6.0)
	assert.InDelta(t, math.Ln2, with.Surprise(5, on), 0.05)
	assert.Less(t, with.Novelty(5, on), without.Novelty(5, on))
	assert.InDelta(t, math.Log(200), with.Surprise(8, on), 0.05)
	b, err := with.AppendBinary(nil)
	require.NoError(t, err)
	again, err := DecodeRules(b)
	require.NoError(t, err)
	assert.Equal(t, with, again)
	for _, o := range []occasion{{1, OfValue(4000)}, {2, OfValue(5)}, {9, on}} {
		assert.Equal(t, without.Surprise(o.rule, o.extent), with.Surprise(o.rule, o.extent), "rule %d", o.rule)
		assert.Equal(t, without.Novelty(o.rule, o.extent), with.Novelty(o.rule, o.extent), "rule %d", o.rule)
	}
}

func TestMergedRuleCountsEqualCountsOfAll(t *testing.T) {
	all, parts := traffic(), []*RuleCounts{NewRuleCounts(), NewRuleCounts()}
	for site := range 10 {
		for i := range 100 {
			v := matched(1, 4000)
			if site == 0 && i == 0 {
				v = matched(2, 5)
			}
			parts[i%2].Add(v, []int{0}, string(rune('a'+site))) // each site's traffic on both machines
		}
	}
	parts[0].Merge(parts[1])
	assert.Equal(t, all, parts[0])
}

// TestAdaptingSubsumesRuleExclusion: a rule that fires on all of a site's normal traffic is evidence no more, and a few
// attacks among the traffic do not teach the site that attacks are normal.
func TestAdaptingSubsumesRuleExclusion(t *testing.T) {
	base := CompileRules(traffic(), nil)
	before := base.Surprise(7, OfValue(30))
	isNew := base.Novelty(7, OfValue(30))
	assert.Greater(t, before, 7.0)
	own := NewRuleCounts()
	for range 500 {
		own.Add(matched(7, 30), []int{0}, "")
	}
	own.Add(matched(8, 30), []int{0}, "") // one attack in 501 requests
	site := base.Adapt(own, NewRuleCounts())
	after := site.Surprise(7, OfValue(30))
	known := site.Novelty(7, OfValue(30))
	assert.Less(t, after, 0.2)
	assert.Less(t, known, 0.1)
	assert.Greater(t, isNew, 2.0)
	attack := site.Surprise(8, OfValue(30))
	assert.Greater(t, attack, 5.0)
	unchanged := site.Surprise(9, OfValue(30))
	assert.Equal(t, before, unchanged)
	again := base.Surprise(7, OfValue(30))
	assert.Equal(t, before, again, "the base stays as it was")
}

func TestRulesRoundTrip(t *testing.T) {
	b, err := CompileRules(traffic(), nil).AppendBinary(nil)
	require.NoError(t, err)
	r, err := DecodeRules(b)
	require.NoError(t, err)
	assert.Equal(t, CompileRules(traffic(), nil), r)
}

// What could not be read again is not written.
func TestRulesBeyondTheLimit(t *testing.T) {
	counts := NewRuleCounts()
	for rule := range MaxOccasions {
		counts.Add(matched(rule, 5), []int{0}, "site")
	}
	_, err := CompileRules(counts, nil).AppendBinary(nil)
	assert.ErrorContains(t, err, "(limit 16384)")
}

func FuzzDecodeRules(f *testing.F) {
	b, err := CompileRules(traffic(), nil).AppendBinary(nil)
	require.NoError(f, err)
	f.Add(b)
	f.Add(append(slices.Clone(b[:8]), 0xc5, 0x4e, 0xec, 0xc4, 0)) // on 32 bits fewer than no entries, of 13 bytes: in all one
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRules(b)
		if err != nil {
			assert.ErrorIs(t, err, ErrFormat)
			return
		}
		again, err := r.AppendBinary(nil)
		require.NoError(t, err)
		assert.Equal(t, b, again)
		surprise := r.Surprise(942100, OfValue(10))
		novelty := r.Novelty(942100, OfValue(10))
		assert.False(t, math.IsNaN(surprise) || math.IsInf(surprise, 0) || math.IsNaN(novelty) || math.IsInf(novelty, 0))
	})
}
