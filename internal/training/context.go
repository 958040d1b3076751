// SPDX-License-Identifier: Apache-2.0

package training

import (
	"math/rand/v2"
	"slices"

	"github.com/mlverdict/mlverdict/internal/augment"
	"github.com/mlverdict/mlverdict/model/request"
)

// An attack need not be alone in its value: it may stand before, in or behind normal text of any length. The leaves are
// weighed with each known payload alone and once more in such a context, so that length alone clears nothing.

// contexts collects normal texts that an attack may stand in.
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
