// SPDX-License-Identifier: Apache-2.0

package augment_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/mlverdict/mlverdict/internal/augment"
)

// isSubsequence reports whether text can be had by taking characters out of from.
func isSubsequence(text, from string) bool {
	for _, c := range text {
		i := strings.IndexRune(from, c)
		if i < 0 {
			return false
		}
		from = from[i+utf8.RuneLen(c):]
	}
	return true
}

func TestMutations(t *testing.T) {
	const text = "größe=12; farbe=blau, (auf lager) size=12"
	word := regexp.MustCompile(`[\pL\d]+`)
	for name, m := range map[string]augment.Mutation{"characters": augment.Sprinkle, "permute": augment.Permute, "merge": augment.Merge, "ngrams": augment.Seed} {
		t.Run(name, func(t *testing.T) {
			rng, again := seeded(1), seeded(1)
			changed := 0
			for range 50 {
				got := m(text, sentences, rng)
				assert.Equal(t, got, m(text, sentences, again))
				assert.True(t, utf8.ValidString(got), got)
				if got != text {
					changed++
				}
				switch name {
				case "characters", "merge", "ngrams":
					assert.True(t, isSubsequence(text, got), got)
				case "permute":
					assert.Equal(t, word.ReplaceAllString(text, "w"), word.ReplaceAllString(got, "w"), "the marks stay")
					assert.ElementsMatch(t, word.FindAllString(text, -1), word.FindAllString(got, -1), "so do the words")
				}
				if name == "ngrams" {
					assert.Equal(t, len(regexp.MustCompile(`[^\pL\d\s_]`).FindAllString(text, -1)), len(regexp.MustCompile(`[^\pL\d\s_]`).FindAllString(got, -1)),
						"no mark is added: %s", got)
				}
			}
			assert.Greater(t, changed, 40)
		})
	}
}

func TestContexts(t *testing.T) {
	const payload = "' or 1=1 -- "
	rng := seeded(1)
	inside := 0
	for range 50 {
		assert.True(t, strings.HasSuffix(augment.Append(payload, sentences, rng), payload))
		wrapped := augment.Wrap(payload, sentences, rng)
		before, after, found := strings.Cut(wrapped, payload)
		assert.True(t, found && slices.Contains(sentences, before[:len(before)-1]) && slices.Contains(sentences, after[1:]), wrapped)
		before, after, found = strings.Cut(augment.Insert(payload, sentences, rng), payload)
		assert.True(t, found)
		assert.Contains(t, sentences, before+after)
		if before != "" && after != "" {
			inside++
		}
	}
	assert.Positive(t, inside)
}
