// SPDX-License-Identifier: Apache-2.0

package augment_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/augment"
)

var sentences = []string{
	"the quick brown fox jumps over the lazy dog", "the lazy dog sleeps under the brown tree",
	"größer als der Baum ist der Fuchs", "select the size and the colour of the dog",
}

// Of a chain of an order, every stretch of one unit more occurs in what it was learned from.
func TestMarkovLooksBack(t *testing.T) {
	for order := 1; order <= augment.MaxOrder; order++ {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			m, err := augment.LearnMarkov(sentences, augment.Characters, order)
			require.NoError(t, err)
			texts := take(m.Texts(augment.AnyLength, seeded(1)), 200)
			assert.Equal(t, texts, take(m.Texts(augment.AnyLength, seeded(1)), 200))
			source := strings.Join(sentences, "\n")
			novel := 0
			for _, text := range texts {
				runes := []rune(text)
				for i := 0; i+order < len(runes); i++ {
					require.Contains(t, source, string(runes[i:i+order+1]))
				}
				if !strings.Contains(source, text) {
					novel++
				}
			}
			if order <= 3 {
				assert.Positive(t, novel, "it makes texts of its own")
			}
		})
	}
}

func TestMarkovTokens(t *testing.T) {
	m, err := augment.LearnMarkov([]string{"a1 = b2;", "b2 =\t c3;"}, augment.Tokens, 1)
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, text := range take(m.Texts(augment.AnyLength, seeded(1)), 300) {
		seen[text] = true
	}
	assert.True(t, seen["a1 =\t c3;"], "the two were crossed: %v", seen)
	for _, text := range take(m.Texts(augment.Lengths{Typical: 1, Most: 2}, seeded(1)), 100) {
		assert.Contains(t, []string{"a1 ", "b2 ", "b2;"}, text)
	}
}

func TestMarkovErrors(t *testing.T) {
	for _, order := range []int{-1, 0, augment.MaxOrder + 1} {
		_, err := augment.LearnMarkov(sentences, augment.Characters, order)
		assert.ErrorContains(t, err, "want 1 to 6")
	}
	_, err := augment.LearnMarkov(nil, augment.Characters, 2)
	assert.ErrorContains(t, err, "no text")
	_, err = augment.LearnMarkov([]string{"", ""}, augment.Characters, 2)
	assert.ErrorContains(t, err, "no text")
}
