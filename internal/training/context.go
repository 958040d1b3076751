// SPDX-License-Identifier: Apache-2.0

package training

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/mlverdict/mlverdict/model/features"
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

// The lengths of a context, in bytes: as often of one power of two as of the next.
const (
	shortestContext = 1 << 5
	longestContext  = 4 * features.MaxLength
)

// surroundings joins texts to one of a length drawn from rng.
func surroundings(texts []string, rng *rand.Rand) string {
	length := int(shortestContext * math.Pow(longestContext/shortestContext, rng.Float64()))
	var b strings.Builder
	for b.Len() < length {
		b.WriteString(texts[rng.IntN(len(texts))])
		b.WriteByte(' ')
	}
	return b.String()[:length]
}

// inContext returns the request with its payload put into normal text, false where no value is the payload alone. CRS's
// matches stay those of the payload alone.
func (h *Harmful) inContext(texts []string, rng *rand.Rand) (request.View, bool) {
	if h.Payload == "" || len(texts) == 0 {
		return request.View{}, false
	}
	text := surroundings(texts, rng)
	at := []int{0, rng.IntN(len(text)), len(text)}[rng.IntN(3)]
	between := []string{"", " ", "\n", ","}[rng.IntN(4)]
	v, found := h.View, false
	v.Values = slices.Clone(v.Values)
	for i := range v.Values {
		if v.Values[i].Text == h.Payload {
			v.Values[i].Text, found = text[:at]+between+h.Payload+between+text[at:], true
		}
	}
	return v, found
}
