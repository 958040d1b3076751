// SPDX-License-Identifier: Apache-2.0

package features_test

import (
	"encoding/hex"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/features"
	"github.com/mlverdict/mlverdict/model/request"
)

// A schema's hash stands in every model file of it. Features that change get a schema name of their own, so a line of
// this table is replaced only together with the embedded model, and never for an old name.
func TestSchemaHashes(t *testing.T) {
	golden := map[string]string{
		"verdict/6":   "d20ec528cec45a8a162c9acf6a98663700796ce86914c3f61bf1eb826563fbc8",
		"thesis-26/1": "c513f4313bc2b8a7f576ba4024ab37960bc50b20d3ff982e0dedc1261292b296",
	}
	require.Len(t, features.Schemas(), len(golden))
	for _, s := range features.Schemas() {
		hash := s.Hash()
		assert.Equal(t, golden[s.Name], hex.EncodeToString(hash[:]), s)
	}
}

func TestSchemas(t *testing.T) {
	assert.Len(t, features.Thesis.Features, 26)
	for _, s := range features.Schemas() {
		found, ok := features.ByName(s.Name)
		assert.True(t, ok)
		assert.Same(t, s, found)
		seen := map[string]bool{}
		for _, f := range s.Features {
			assert.False(t, seen[f.Name], f.Name)
			seen[f.Name] = true
			assert.NotEmpty(t, f.Doc, f.Name)
			assert.Contains(t, s.String(), f.Name)
		}
	}
	_, ok := features.ByName("verdict/0")
	assert.False(t, ok)
}

// extractors returns one of each schema, that of the default model with its chains and rules.
func extractors() []*features.Extractor {
	p := model.Default().Parts()
	return []*features.Extractor{
		{Schema: p.Schema, Chains: p.Chains, Rules: p.Rules},
		{Schema: features.Thesis},
	}
}

// The 26 statistics of a small request, each counted by hand.
func TestThesisByHand(t *testing.T) {
	v := &request.View{
		Method: "POST", Hour: 7, Target: 30, Query: 11, Size: 23,
		Values: []request.Value{
			{Place: request.Path, Text: "/a/b.b"},
			{Place: request.Query, Name: "q", Text: "A1' or"},
			{Place: request.Form, Name: "name", Text: "<img> \xc3\xa9"},
			{Place: request.Name, Text: "odd name"},
			{Place: request.Cookie, Name: "sid", Text: "12345"},
			{Place: request.Header, Name: "host", Text: "h"},
			{Place: request.Header, Name: "accept", Text: "*/*"},
			{Place: request.File, Text: "../../etc/passwd"}, // no argument
		},
	}
	const args = 6 + 8 // bytes of "A1' or" and of "<img> é"
	entropy := func(counts ...float64) (h float64) {
		n := 0.0
		for _, c := range counts {
			n += c
		}
		for _, c := range counts {
			h -= c / n * math.Log2(c/n)
		}
		return h
	}
	want := map[string]float64{
		"hour":          7,
		"path_length":   6,
		"path_depth":    2,
		"path_special":  1.0 / 6,             // the dot
		"path_entropy":  entropy(2, 1, 2, 1), // / a b .
		"query_length":  11,
		"body_length":   23,
		"arg_count":     2,
		"arg_length":    args,
		"arg_longest":   8,
		"name_longest":  4,
		"header_count":  2,
		"header_length": 4,
		"cookie_length": 5,
		"arg_upper":     1.0 / args, // A
		"arg_lower":     5.0 / args, // o r i m g
		"arg_digit":     1.0 / args, // 1
		"arg_special":   3.0 / args, // ' < >
		"arg_blank":     2.0 / args,
		"arg_high":      2.0 / args, // the two bytes of é
		"arg_entropy":   entropy(1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1),
		"arg_quotes":    1,
		// " or " needs a blank behind it
		"keywords_sql":    0,
		"keywords_script": 1, // <img
		"keywords_shell":  0,
		"keywords_file":   0,
	}
	var s features.Scratch
	(&features.Extractor{Schema: features.Thesis}).Extract(&s, v)
	require.Len(t, want, len(features.Thesis.Features))
	for i, f := range features.Thesis.Features {
		assert.InDelta(t, want[f.Name], s.Vector[i], 1e-6, f.Name)
	}
}

// odd are views that no real request yields.
func odd() map[string]*request.View {
	long := strings.Repeat("%25", 100_000)
	values := []request.Value{
		{Place: request.Query, Text: "\x00\xff\xfe"}, {Place: 255, Name: "\xff", Text: "' or 1=1--"}, {Place: request.Body, Text: long},
	}
	return map[string]*request.View{
		"empty":                  {},
		"empty texts":            {Values: make([]request.Value, 3)},
		"odd bytes":              {Values: values},
		"negative numbers":       {Hour: -1, Paranoia: -9, Limit: -5, Target: -1, Query: -1, Size: -1, Earned: [4]int{-1, -1, -1, -1}, Values: values},
		"large numbers":          {Hour: math.MaxInt, Paranoia: math.MaxInt, Target: math.MaxInt, Size: math.MaxInt, Values: values},
		"spans outside":          {Paranoia: 4, Values: values, Matches: []request.Match{{Rule: 942100, Paranoia: 1, Spans: []request.Span{{Lo: -3, Hi: 99}, {Lo: 7, Hi: 9}, {Lo: 2, Hi: 0}}}}},
		"matches without values": {Paranoia: 4, Matches: []request.Match{{Rule: 942100, Paranoia: 1}, {Rule: -1, Paranoia: 7, Score: -1}, {}}},
	}
}

func TestExtractIsTotal(t *testing.T) {
	for _, x := range extractors() {
		var s features.Scratch
		for name, v := range odd() {
			t.Run(x.Schema.Name+" "+name, func(t *testing.T) {
				x.Extract(&s, v)
				require.Len(t, s.Vector, len(x.Schema.Features))
				for i, number := range s.Vector {
					assert.False(t, math.IsNaN(float64(number)) || math.IsInf(float64(number), 0), "%s is %v", x.Schema.Features[i].Name, number)
				}
				assert.GreaterOrEqual(t, s.Found.Value, -1)
				assert.Less(t, s.Found.Value, max(len(v.Values), 0))
				assert.LessOrEqual(t, s.Found.QuoteLen, features.MaxQuote)
			})
		}
	}
}

// attack is a view with several values and matches.
func attack() *request.View {
	return &request.View{
		Method: "GET", Paranoia: 4, Limit: 5, Earned: [4]int{15},
		Values: []request.Value{
			{Place: request.Path, Text: "/shop/list"},
			{Place: request.Query, Name: "id", Text: "1' UNION SELECT password FROM users--"},
			{Place: request.Query, Name: "q", Text: "<script>alert(1)</script>"},
			{Place: request.Form, Name: "text", Text: "a cart and 2 items"},
			{Place: request.Cookie, Name: "sid", Text: "0123456789abcdef"},
			{Place: request.Header, Name: "user-agent", Text: "Mozilla/5.0"},
		},
		Matches: []request.Match{
			{Rule: 920420, Paranoia: 1, Score: 5, Spans: []request.Span{{Lo: 5, Hi: 6}}},
			{Rule: 941100, Paranoia: 1, Score: 5, Spans: []request.Span{{Lo: 2, Hi: 3}}},
			{Rule: 942100, Paranoia: 1, Score: 5, Spans: []request.Span{{Lo: 1, Hi: 2}}},
			{Rule: 942432, Paranoia: 4, Score: 3, Spans: []request.Span{{Lo: 1, Hi: 2}, {Lo: 3, Hi: 4}}},
		},
	}
}

// shuffled is the same view in another order of its values and matches.
func shuffled(v *request.View, rng *rand.Rand) *request.View {
	w := *v
	w.Values, w.Matches = make([]request.Value, len(v.Values)), nil
	to := rng.Perm(len(v.Values))
	for i, x := range v.Values {
		w.Values[to[i]] = x
	}
	for _, i := range rng.Perm(len(v.Matches)) {
		m := v.Matches[i]
		m.Spans = nil
		for _, s := range v.Matches[i].Spans {
			for j := s.Lo; j < s.Hi; j++ {
				m.Spans = append(m.Spans, request.Span{Lo: int32(to[j]), Hi: int32(to[j] + 1)})
			}
		}
		w.Matches = append(w.Matches, m)
	}
	return &w
}

// Collections iterate in random order; no number may depend on it.
func TestExtractDoesNotDependOnOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, x := range extractors() {
		t.Run(x.Schema.Name, func(t *testing.T) {
			var s features.Scratch
			x.Extract(&s, attack())
			want := append([]float32(nil), s.Vector...)
			found := s.Found
			for range 50 {
				v := shuffled(attack(), rng)
				x.Extract(&s, v)
				assert.InDeltaSlice(t, want, s.Vector, 1e-4)
				if found.Value >= 0 {
					assert.Equal(t, attack().Values[found.Value], v.Values[s.Found.Value])
				}
				assert.Equal(t, found.Rate, s.Found.Rate) // of rules that surprise as much, any may be named
			}
		})
	}
}

// A scratch that has seen another request gives the same numbers as a new one.
func TestScratchIsClean(t *testing.T) {
	for _, x := range extractors() {
		var used features.Scratch
		for name, v := range odd() {
			x.Extract(&used, attack())
			x.Extract(&used, v)
			var fresh features.Scratch
			x.Extract(&fresh, v)
			assert.Equal(t, fresh.Vector, used.Vector, "%s %s", x.Schema.Name, name)
			assert.Equal(t, fresh.Found, used.Found, "%s %s", x.Schema.Name, name)
		}
	}
}

// What the verdict schema is for: an attack that CRS flagged has more evidence, in every number, than a request that
// says nothing, and the extraction tells where it stood.
func TestVerdictRisesWithAnAttack(t *testing.T) {
	x := extractors()[0]
	require.Same(t, features.Verdict, x.Schema)
	var none, some features.Scratch
	x.Extract(&none, &request.View{Paranoia: 4, Values: []request.Value{{Place: request.Query, Name: "q", Text: "hello"}}})
	x.Extract(&some, attack())
	for i, f := range x.Schema.Features {
		assert.Greater(t, some.Vector[i], none.Vector[i], f.Name)
	}
	require.Contains(t, []int{1, 2}, some.Found.Value)
	assert.Positive(t, some.Found.Evidence)
	assert.NotZero(t, some.Found.QuoteLen)
	assert.NotZero(t, some.Found.Rule)
	sum := 0.0
	for c := range evidence.Class(evidence.Classes) {
		sum += math.Exp(some.Found.Posterior[c])
	}
	assert.InDelta(t, 1, sum, 1e-9, "the classes' probabilities")
}

// The rule that is named is the one whose match counts most, with the rate that counts: of matches on as long a stretch of text,
// however often a rule matches longer ones.
func TestFoundRuleIsTheOneThatCounts(t *testing.T) {
	v := attack()
	v.Matches = v.Matches[2:3] // 942100, on the injection
	common := func(rule int) request.Match {
		return request.Match{Rule: rule, Paranoia: 1, Score: 5, Spans: v.Matches[0].Spans}
	}
	x := extractors()[0]
	var s features.Scratch
	stretch := x.Measure(&s, nil, v)[1].Stretch
	require.Positive(t, stretch)
	counts := evidence.NewRuleCounts()
	for i := range 100 {
		seen := request.View{Values: make([]request.Value, 2)}
		lengths := []int{0, stretch}
		if i < 40 { // most requests have 942100 match, but a long stretch
			lengths[1] = 100 * stretch
			seen.Matches = []request.Match{common(942100)}
		} else if i < 50 {
			seen.Matches = []request.Match{common(942200)}
		}
		counts.Add(&seen, lengths, "site")
	}
	x.Rules = evidence.CompileRules(counts, nil)
	v.Matches = []request.Match{common(942100), common(942200)}
	x.Extract(&s, v)
	assert.Equal(t, 942100, s.Found.Rule)
	assert.Zero(t, s.Found.Rate)
	v.Matches = v.Matches[1:]
	x.Extract(&s, v)
	assert.Equal(t, 942200, s.Found.Rule)
	assert.InDelta(t, 10.5/101, s.Found.Rate, 1e-6)
	assert.InDelta(t, math.Exp(-x.Trace(&s, v).Rules[0].Surprise), s.Found.Rate, 1e-6)
}

// Matches above the blocking paranoia level take no part.
func TestVerdictIgnoresMatchesThatDoNotCount(t *testing.T) {
	x := extractors()[0]
	all := attack()
	low := all.AtParanoia(1)
	without := *all
	without.Paranoia, without.Matches = 1, all.Matches[:3]
	var a, b features.Scratch
	x.Extract(&a, &low)
	x.Extract(&b, &without)
	assert.Equal(t, b.Vector, a.Vector)
	assert.Equal(t, b.Found, a.Found)
}

// A trace is of the very extraction: it changes no number, and the features are the largest of what it holds.
func TestTrace(t *testing.T) {
	x := extractors()[0]
	for name, v := range odd() {
		var a, b features.Scratch
		x.Extract(&a, v)
		x.Trace(&b, v)
		assert.Equal(t, a.Vector, b.Vector, name)
		assert.Equal(t, a.Found, b.Found, name)
	}
	var s features.Scratch
	v := attack()
	v.Matches = append(v.Matches, request.Match{Rule: 944100, Paranoia: 1, Score: 5})
	trace := x.Trace(&s, v)
	var joint, agreement, novelty, corroboration, breadth, length float64
	seen := map[int]bool{}
	for _, value := range trace.Values {
		assert.False(t, seen[value.Value], "each value once")
		seen[value.Value] = true
		assert.True(t, value.Evidence == 0 || value.Hi > value.Lo)
		assert.LessOrEqual(t, value.Hi, len(value.Decoded))
		agreement = max(agreement, min(value.Worth, value.Surprise))
		var surprises []float64
		number := 0.0
		for _, rule := range trace.Rules {
			if rule.Value == value.Value {
				surprises, number = append(surprises, rule.Surprise), number+min(rule.Surprise, 1)
			}
		}
		if slices.Sort(surprises); len(surprises) > 1 {
			corroboration = max(corroboration, surprises[len(surprises)-2])
		}
		if sum := value.Worth + value.Surprise; sum > joint {
			joint, breadth, length = sum, math.Log1p(number), math.Log1p(float64(len(v.Values[value.Value].Text)))
		}
	}
	assert.Len(t, seen, len(v.Values), "the header, too, which a rule flagged")
	rules := map[int]int{}
	for _, rule := range trace.Rules {
		rules[rule.Rule]++
		novelty = max(novelty, rule.Novelty)
	}
	assert.Equal(t, map[int]int{941100: 1, 942100: 1, 942432: 2, 944100: 1}, rules)
	assert.Equal(t, []float32{float32(joint), float32(agreement), float32(novelty), float32(corroboration), float32(breadth), float32(length)}, s.Vector)
	id := trace.Values[1]
	assert.Equal(t, "1' union select password from users--", id.Decoded)
	assert.Contains(t, id.Decoded[id.Lo:id.Hi], "union select")

	x.Extract(&s, v)
	assert.Len(t, trace.Values, len(v.Values), "a trace ends with its extraction")
	assert.Empty(t, extractors()[1].Trace(&s, v))
}
