// SPDX-License-Identifier: Apache-2.0

package augment_test

import (
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/mlverdict/mlverdict/internal/augment"
)

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// take draws n items.
func take[T any](in iter.Seq[T], n int) (list []T) {
	for item := range in {
		if list = append(list, item); len(list) == n {
			break
		}
	}
	return list
}

func TestNoise(t *testing.T) {
	for _, f := range augment.Families() {
		t.Run(f.Name, func(t *testing.T) {
			texts := take(f.Texts(augment.AnyLength, seeded(1)), 300)
			assert.Equal(t, texts, take(f.Texts(augment.AnyLength, seeded(1)), 300), "the same seed gives the same texts")
			assert.NotEqual(t, texts, take(f.Texts(augment.AnyLength, seeded(2)), 300))
			for _, text := range texts {
				assert.NotEmpty(t, text)
				assert.True(t, utf8.ValidString(text))
			}
		})
	}
}

// What a family is named after is in its texts, and what would make the next one of it is not.
func TestNoiseTokens(t *testing.T) {
	texts := map[string]string{}
	for _, f := range augment.Families() {
		texts[f.Name] = strings.Join(take(f.Texts(augment.AnyLength, seeded(1)), 500), "\n")
	}
	for family, want := range map[string][]string{
		"ascii-script": {"</", " />"}, "uri": {"https://", "utm_source="}, "user-agent": {"Mozilla/5.0", "(KHTML, like Gecko)"},
		"json": {`":"`, "null"}, "xml": {"soap:Body", "<![CDATA["}, "graphql": {"mutation ", "@include(if: "}, "promql": {"histogram_quantile(", "[5m]"},
		"sql": {"select ", "--"}, "sql-fragments": {"sel", "||"}, "script-fragments": {"alert", "onerror"}, "shell-fragments": {"curl", "2>&1"},
		"php-fragments": {"<?php ", "eval"},
	} {
		for _, token := range want {
			assert.Contains(t, texts[family], token, family)
		}
	}
	assert.NotRegexp(t, `[^a-zA-Z0-9\n]`, texts["ascii"])
	assert.NotContains(t, texts["json"], "select")
}

// Most texts are short, the tail is heavy, and it ends.
func TestLengths(t *testing.T) {
	lengths := augment.Lengths{Typical: 12, Most: 500}
	rng := seeded(1)
	var drawn []int
	for range 20_000 {
		drawn = append(drawn, lengths.Draw(rng))
	}
	slices.Sort(drawn)
	assert.Equal(t, 1, drawn[0])
	assert.Equal(t, 500, drawn[len(drawn)-1])
	assert.InDelta(t, 12, drawn[len(drawn)/2], 1)
	long, sum := 0, 0
	for _, n := range drawn {
		if sum += n; n > 100 {
			long += n
		}
	}
	assert.Greater(t, float64(long), 0.3*float64(sum), "a large part of the tokens is in long texts")

	ascii := augment.Families()[0]
	for _, text := range take(ascii.Texts(augment.Lengths{Typical: 3, Most: 7}, seeded(1)), 500) {
		assert.LessOrEqual(t, len(text), 7)
	}
}
