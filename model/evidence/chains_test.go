// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// corpus makes small normal and attack texts.
func corpus(rng *rand.Rand) (normal, attack []string) {
	words := strings.Fields("shop cart item price color size name user page list view order total city street phone mail")
	for i := range 400 {
		normal = append(normal, fmt.Sprintf("%s=%d&%s=%s-%d", words[rng.IntN(len(words))], rng.IntN(1000),
			words[rng.IntN(len(words))], words[rng.IntN(len(words))], i))
		attack = append(attack, fmt.Sprintf("%d' union select %s from users where %d=%d-- ", rng.IntN(99),
			words[rng.IntN(len(words))], i, i), fmt.Sprintf("<script>alert(%d)</script>", i))
	}
	return normal, attack
}

func compiled(t testing.TB) *Chains {
	t.Helper()
	normal, attack := corpus(rand.New(rand.NewPCG(1, 2)))
	words := WordCounts{}
	for _, text := range append(normal, attack...) {
		words.Add(text)
	}
	v := Vocabulary{}
	words.AtLeast(5, v)
	n, a := NewCounts(), NewCounts()
	var samples []Sample
	for _, text := range normal {
		n.Add(text, v, 1)
		samples = append(samples, Sample{Text: text, Weight: 1})
	}
	for i, text := range attack {
		a.Add(text, v, 1)
		samples = append(samples, Sample{Text: text, Attack: true, Class: []Class{SQLi, XSS}[i%2], Weight: 1})
	}
	c, err := CompileChains([]*Counts{n}, []*Counts{a}, 2000, samples, rand.New(rand.NewPCG(8, 9)))
	require.NoError(t, err)
	return c
}

func TestScanFindsTheAttack(t *testing.T) {
	c := compiled(t)
	var s Scanner
	plain := c.Scan(&s, "cart=17&name=order-3")
	assert.Zero(t, plain.Evidence)

	bare := c.Scan(&s, "5' UNION SELECT name FROM users where 1=1-- ")
	assert.Greater(t, bare.Evidence, 10.0)
	posterior := c.Classify(&s, bare, &Votes{})
	assert.Greater(t, posterior[SQLi], posterior[XSS])
	var votes Votes
	votes.Add(941100, 7)
	votes.Add(942100, 1)
	votes.Add(942430, 1)
	votes.Add(920270, 9)
	posterior = c.Classify(&s, Text{}, &votes)
	assert.Greater(t, posterior[XSS], posterior[SQLi], "a rule that surprises against two that normal traffic trips over")
	assert.Greater(t, posterior[SQLi], posterior[LFI], "two rules against none")
	assert.Equal(t, posterior[LFI], posterior[RCE], "a rule of no class votes for none")

	padded := c.Scan(&s, strings.Repeat("cart=17&name=order-3&", 500)+"<script>alert(3)</script>"+
		strings.Repeat("&cart=17&name=order-3", 500))
	assert.Greater(t, padded.Evidence, 5.0, "padding does not dilute a stretch")
	assert.Contains(t, string(s.Decoded()[padded.Lo:padded.Hi]), "script>alert(")
}

// TestScanIsTheBestStretch holds the one-pass scan against all stretches.
func TestScanIsTheBestStretch(t *testing.T) {
	c := compiled(t)
	normal, attack := corpus(rand.New(rand.NewPCG(3, 4)))
	var s Scanner
	for i := range normal {
		text := normal[i] + attack[i] + normal[i]
		require.Equal(t, naiveScan(c, naiveDecoded(text)), c.Scan(&s, text), "%q", text)
	}
}

func TestCountsInPartsEqualCountsOfAll(t *testing.T) {
	normal, attack := corpus(rand.New(rand.NewPCG(5, 6)))
	count := func(texts []string) (all *Counts, parts []*Counts) {
		all, parts = NewCounts(), []*Counts{NewCounts(), NewCounts()}
		for i, text := range texts {
			all.Add(text, nil, 1)
			all.Add(text, nil, 1) // a repeat does not count
			parts[min(i%3, 1)].Add(text, nil, 1)
		}
		return all, parts
	}
	allNormal, normalParts := count(normal)
	allAttack, attackParts := count(attack)
	whole, err := CompileChains([]*Counts{allNormal}, []*Counts{allAttack}, 2000, nil, nil)
	require.NoError(t, err)
	inParts, err := CompileChains(normalParts, attackParts, 2000, nil, nil)
	require.NoError(t, err)
	require.NotZero(t, whole.NGrams())
	assert.Equal(t, whole.entries, inParts.entries)
}

func TestChainsRoundTrip(t *testing.T) {
	c := compiled(t)
	b, err := c.AppendBinary(nil)
	require.NoError(t, err)
	again, err := DecodeChains(b)
	require.NoError(t, err)
	b2, err := again.AppendBinary(nil)
	require.NoError(t, err)
	assert.Equal(t, b, b2)
	assert.Equal(t, c.NGrams(), again.NGrams())
	var s Scanner
	text := "x' union select cart from users"
	assert.Equal(t, c.Scan(&s, text), again.Scan(&s, text))
}

// A file whose keys lie side by side would make every look-up long, and so every scan.
func TestTablesThatAreSlowToSearchAreRefused(t *testing.T) {
	file := func(n int) []byte {
		b := binary.LittleEndian.AppendUint32(nil, uint32(n))
		for key := range uint32(n) {
			b = append(binary.LittleEndian.AppendUint32(b, key+1), 0, 0)
		}
		return append(b, 0, 0, 0, 0) // no classes
	}
	_, err := DecodeChains(file(maxRun))
	require.NoError(t, err)
	_, err = DecodeChains(file(maxRun + 1))
	require.ErrorIs(t, err, ErrFormat)
	assert.ErrorContains(t, err, "look-ups of up to 1025 steps (limit 1024)")
}

func FuzzDecodeChains(f *testing.F) {
	b, err := compiled(f).AppendBinary(nil)
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte{1, 0, 0, 0, 1, 0, 0, 0, 5, 6, 0, 0, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})                         // -1 n-grams on 32 bits
	f.Add([]byte{0, 0, 0, 0, 0xab, 0xaa, 0xaa, 0xaa, 1, 2, 3, 4}) // fewer than no classes' n-grams there, of 12 bytes: in all 4
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeChains(b)
		if err != nil {
			assert.ErrorIs(t, err, ErrFormat)
			return
		}
		again, err := c.AppendBinary(nil)
		require.NoError(t, err)
		assert.Equal(t, b, again)
		var s Scanner
		c.Scan(&s, "' or 1=1-- <script>") // terminates
	})
}

func FuzzScan(f *testing.F) {
	c := compiled(f)
	f.Add("1' union select name from users<script>alert(1)")
	f.Fuzz(func(t *testing.T, text string) {
		var s Scanner
		got := c.Scan(&s, text)
		if decoded := naiveDecoded(text); len(decoded) < 500 { // the oracle is quadratic
			assert.Equal(t, naiveScan(c, decoded), got)
		}
		assert.False(t, math.IsNaN(got.Evidence) || math.IsInf(got.Evidence, 0) || got.Evidence < 0)
		assert.True(t, 0 <= got.Lo && got.Lo <= got.Hi && got.Hi <= len(s.Decoded()))
		for _, p := range c.Classify(&s, got, &Votes{}) {
			assert.False(t, math.IsNaN(p) || p > 1e-9)
		}
	})
}

// TestRefiningLearnsFromHardNegatives: normal text that uses an attack's words loses its evidence, the attack does not.
func TestRefiningLearnsFromHardNegatives(t *testing.T) {
	normal, attack := corpus(rand.New(rand.NewPCG(1, 2)))
	n, a := NewCounts(), NewCounts()
	var samples []Sample
	for _, text := range normal {
		n.Add(text, nil, 1)
	}
	for _, text := range attack {
		a.Add(text, nil, 1)
		samples = append(samples, Sample{Text: text, Attack: true, Weight: 1})
	}
	hard := "<b>alert</b>, <i>union</i>, <b>select</b>, <i>where</i>"
	for range 50 {
		samples = append(samples, Sample{Text: hard, Weight: 1})
	}
	evidence := func(samples []Sample, text string) float64 {
		c, err := CompileChains([]*Counts{n}, []*Counts{a}, 2000, samples, rand.New(rand.NewPCG(1, 1)))
		require.NoError(t, err)
		var s Scanner
		return c.Scan(&s, text).Evidence
	}
	assert.Greater(t, evidence(nil, hard), 1.0)
	assert.Less(t, evidence(samples, hard), evidence(nil, hard)/2)
	assert.Greater(t, evidence(samples, attack[1]), 5.0)
}

func TestChainsAreDeterministic(t *testing.T) {
	a, err := compiled(t).AppendBinary(nil)
	require.NoError(t, err)
	b, err := compiled(t).AppendBinary(nil)
	require.NoError(t, err)
	assert.Equal(t, a, b)
}

// TestCollidingKeysDoNotMatter: keys are hashes, so that an n-gram may find another one, of any length, in the place of
// its context or suffix. The outcome must not depend on the order in which a map yields them.
func TestCollidingKeysDoNotMatter(t *testing.T) {
	normal, attack := NewCounts(), NewCounts()
	for key := uint32(1); key <= 2000; key++ {
		g := Gram{Order: uint8(1 + key%4), Count: float32(2 + key%11), Context: (key * 7) % 2500, Suffix: (key * 13) % 2500}
		if normal.Grams[key] = &g; key%3 > 0 {
			harmful := g
			harmful.Count = float32(2 + key%7)
			attack.Grams[key] = &harmful
		}
	}
	compile := func() []entry {
		c, err := CompileChains([]*Counts{normal}, []*Counts{attack}, 1000, nil, nil)
		require.NoError(t, err)
		return c.entries
	}
	first := compile()
	assert.NotEmpty(t, first)
	for range 20 {
		require.Equal(t, first, compile())
	}
}
