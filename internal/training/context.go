// SPDX-License-Identifier: Apache-2.0

package training

import (
	"math/rand/v2"
	"slices"

	"github.com/mlverdict/mlverdict/internal/augment"
	"github.com/mlverdict/mlverdict/model/request"
)

// An attack need not be alone in its value: it may stand before, in or behind normal text of any length. The leaves are
// weighed with each known payload alone and once more in such a context, so that length alone clears nothing. What CRS
// flags of half of the normal requests gets such a context, too, so that length alone condemns nothing either.

// contexts collects normal texts that others may stand in.
func (c *Corpus) contexts() (texts []string) {
	const shortest = 20 // bytes
	for i := range c.Normal {
		for _, v := range c.Normal[i].View.Values {
			switch v.Place {
			case request.Query, request.Form, request.Cookie:
				if len(v.Text) >= shortest {
					texts = append(texts, v.Text)
				}
			}
		}
	}
	return texts
}

// inContext returns the request with its payload put into normal text, false where no value is the payload alone. CRS's
// matches stay those of the payload alone.
func (h *Harmful) inContext(texts []string, rng *rand.Rand) (request.View, bool) {
	if h.Payload == "" || len(texts) == 0 {
		return request.View{}, false
	}
	text := augment.Surround(h.Payload, texts, rng)
	v, found := h.View, false
	v.Values = slices.Clone(v.Values)
	for i := range v.Values {
		if v.Values[i].Text == h.Payload {
			v.Values[i].Text, found = text, true
		}
	}
	return v, found
}

// normalInContext is the share of normal requests that weigh leaves once more in a context. The more of them, the less is
// made of what stands in long text, false positives and attacks alike (docs/experiments.md).
const normalInContext = 0.5

// inContext returns the request with one of the values that payload rules matched put into normal text, false where there is
// none, and for those that are not drawn. CRS's matches stay as they were.
func (n *Normal) inContext(texts []string, rng *rand.Rand) (request.View, bool) {
	if len(texts) == 0 || rng.Float64() >= normalInContext {
		return request.View{}, false
	}
	var flagged []int
	for i, yes := range n.View.Flagged(nil) {
		if yes {
			flagged = append(flagged, i)
		}
	}
	if len(flagged) == 0 {
		return request.View{}, false
	}
	i := flagged[rng.IntN(len(flagged))]
	v := n.View
	v.Values = slices.Clone(v.Values)
	v.Values[i].Text = augment.Surround(v.Values[i].Text, texts, rng)
	return v, true
}
