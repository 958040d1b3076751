// SPDX-License-Identifier: Apache-2.0

package augment

import (
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mlverdict/mlverdict/internal/traffic"
)

// Sources are the rows that texts are made from: a random sample of bounded size of those that were added.
type Sources struct {
	Normal    []string           // values of normal requests
	Payloads  []*traffic.Request // bare payloads
	Envelopes []*traffic.Request // normal requests

	rng                         *rand.Rand
	normal, payloads, envelopes int // added so far
}

// What sources hold at most.
const (
	maxTexts     = 50_000
	maxEnvelopes = 2_000
	maxText      = 4 << 10 // bytes of a text; longer ones are left out
)

// NewSources returns sources without rows, which draw their sample from rng.
func NewSources(rng *rand.Rand) *Sources { return &Sources{rng: rng} }

// Add adds a row: a normal request, or a bare payload. Requests that carry attacks do not tell which of their values
// is the attack and are left out.
func (s *Sources) Add(r *traffic.Request) {
	switch {
	case r.IsPayload():
		if usable(r.Payload) {
			s.Payloads = sample(s.rng, s.Payloads, r, &s.payloads, maxTexts)
		}
	case r.Label == traffic.Benign:
		s.Envelopes = sample(s.rng, s.Envelopes, r, &s.envelopes, maxEnvelopes)
		for _, text := range arguments(r) {
			if usable(text) {
				s.Normal = sample(s.rng, s.Normal, text, &s.normal, maxTexts)
			}
		}
	}
}

func usable(text string) bool {
	return strings.TrimSpace(text) != "" && len(text) <= maxText && utf8.ValidString(text)
}

// sample takes one more item, the n-th, into a random sample of limited size (algorithm R; Vitter, 1985).
func sample[T any](rng *rand.Rand, list []T, item T, n *int, limit int) []T {
	*n++
	if len(list) < limit {
		return append(list, item)
	}
	if i := rng.IntN(*n); i < limit {
		list[i] = item
	}
	return list
}

// arguments are the values of a request's query and form, in the order of their names.
func arguments(r *traffic.Request) (texts []string) {
	_, query, _ := strings.Cut(r.URI, "?")
	encoded := []string{query}
	for _, h := range r.Headers {
		if strings.EqualFold(h[0], "content-type") && strings.HasPrefix(strings.ToLower(h[1]), "application/x-www-form-urlencoded") {
			encoded = append(encoded, string(r.Body))
		}
	}
	for _, part := range encoded {
		values, _ := url.ParseQuery(part) // it gives what it could read beside its error
		names := make([]string, 0, len(values))
		for name := range values {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			texts = append(texts, values[name]...)
		}
	}
	return texts
}

// bare is the request that texts are put into where no normal one is at hand.
var bare = &traffic.Request{
	Method: "GET", URI: "/",
	Headers: [][2]string{
		{"Host", "shop.example"},
		{"User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"},
		{"Accept", "*/*"},
	},
}

// Alone puts a text into a plain request that has nothing else, at one of the places where training puts payloads.
func Alone(text string, rng *rand.Rand) *traffic.Request {
	return put(text, bare, Place(rng.IntN(trained)), rng)
}

// InQuery is a plain GET request with a text as the only argument of its query.
func InQuery(text string) *traffic.Request {
	r := *bare
	r.URI += "?q=" + url.QueryEscape(text)
	return &r
}

// envelope draws a request to put a text into.
func (s *Sources) envelope(rng *rand.Rand) *traffic.Request {
	if len(s.Envelopes) == 0 {
		return bare
	}
	return s.Envelopes[rng.IntN(len(s.Envelopes))]
}
