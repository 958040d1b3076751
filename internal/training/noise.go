// SPDX-License-Identifier: Apache-2.0

package training

import (
	"context"
	"iter"
	"math/rand/v2"
	"slices"

	"github.com/mlverdict/mlverdict/internal/augment"
	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/traffic"
)

// Noise is no attack, however much of it looks like one, and recorded traffic holds little of what applications for
// machines write. It teaches both witnesses: as text that corrects the chains, so that structure alone is no evidence, and as
// requests that CRS flags, so that neither do rules surprise that any such text trips over, nor leaves condemn it.

// requestFamilies are the families that go through CRS as well: pieces of what clients and data formats write. Left out are those that
// draw any mark of a keyboard, the languages that attacks speak, and PromQL: its functions are those of SQL, of which many
// of CRS's rules against injections match the bare call.
var requestFamilies = []string{"ascii", "uri", "user-agent", "json", "xml", "graphql"}

const (
	noiseTexts    = 300 // of each family, to correct the chains
	noiseRequests = 500 // of each family that goes through CRS, at most; in all no more than there are normal requests
)

// noiseGroup names what must stay on one side of a split: each fold is measured with noise unlike its own.
func noiseGroup(family string) string { return "noise " + family }

// drawNoise yields n texts of each of the families, with the family's name.
func drawNoise(families []augment.Noise, n int, lengths augment.Lengths, rng *rand.Rand) iter.Seq2[string, string] {
	return func(yield func(family, text string) bool) {
		if n == 0 {
			return
		}
		for _, family := range families {
			left := n
			for text := range family.Texts(lengths, rng) {
				if !yield(family.Name, text) {
					return
				}
				if left--; left == 0 {
					break
				}
			}
		}
	}
}

// noise yields the texts that correct the chains, with the names of their families.
func (p *Params) noise() iter.Seq2[string, string] {
	if !p.Augment {
		return func(func(string, string) bool) {}
	}
	return drawNoise(augment.Families(), noiseTexts, augment.AnyLength, rand.New(rand.NewPCG(p.Seed, 4)))
}

// addNoise replays requests that carry noise and nothing else, up to n of each family, and takes them.
func (c *Corpus) addNoise(ctx context.Context, cache *replay.Cache, n int, rng *rand.Rand) error {
	passing := slices.DeleteFunc(slices.Clone(augment.Families()), func(f augment.Noise) bool {
		return !slices.Contains(requestFamilies, f.Name)
	})
	var requests []*traffic.Request
	var families []string
	for family, text := range drawNoise(passing, n, augment.ThroughCRS, rng) {
		requests, families = append(requests, augment.Alone(text, rng)), append(families, noiseGroup(family))
	}
	return replayAll(ctx, cache, requests, func(i int, rec *replay.Recorded) {
		if !rec.Refused {
			c.Noise = append(c.Noise, Normal{View: rec.View, Group: families[i]})
		}
	})
}
