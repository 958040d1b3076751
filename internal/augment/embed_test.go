// SPDX-License-Identifier: Apache-2.0

package augment_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/augment"
	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/model/request"
)

var payloads = []string{
	"1' UNION SELECT password FROM users--",
	`"><script>alert(1)</script>`,
	"a&b=c;d=e#f?g",
	"50% off + 10%25 \\ /../../etc/passwd",
	"größer als ümlaut",
	"tab\there",
}

func envelope() *traffic.Request {
	return &traffic.Request{
		Set: "normal", Origin: "me", Label: traffic.Benign, Site: "shop", Src: "normal#1", Method: "PUT", URI: "/cart?step=2", Body: []byte("old=body"),
		Headers: [][2]string{{"Host", "shop.example"}, {"User-Agent", "test"}, {"Accept", "*/*"}, {"content-length", "8"},
			{"Content-Encoding", "gzip"}, {"Content-Type", "text/plain"}, {"Cookie", "sid=1"}},
	}
}

// The payload arrives at its place in the view, unchanged but for the encoding that the place needs, and in front of
// what the envelope held.
func TestEmbedArrives(t *testing.T) {
	replayer, err := replay.New()
	require.NoError(t, err)
	places := map[augment.Place]struct {
		name string
		want request.Place
		text func(string) (string, error) // undoes the place's encoding
	}{
		augment.Query:  {"query", request.Query, plain},
		augment.Form:   {"form", request.Form, plain},
		augment.JSON:   {"JSON", request.Form, plain},
		augment.Cookie: {"cookie", request.Cookie, url.PathUnescape}, // views hold cookies as they were sent
		augment.Header: {"header", request.Header, plain},

		augment.XML:       {"XML", request.XML, plain},
		augment.Multipart: {"multipart", request.Form, plain},
		augment.Path:      {"path", request.Path, func(s string) (string, error) { return strings.TrimPrefix(s, "/cart/"), nil }},
	}
	require.Len(t, places, augment.Places)
	for place, p := range places {
		for i, text := range payloads {
			t.Run(fmt.Sprintf("%s %d", p.name, i), func(t *testing.T) {
				payload := &traffic.Request{Set: "lists", Origin: "list", Label: traffic.Attack, Class: "sqli", Src: "list#1", Payload: text}
				rec, err := replayer.Replay(augment.Embed(payload, envelope(), place, rand.New(rand.NewPCG(uint64(i), 0))))
				require.NoError(t, err)
				require.False(t, rec.Refused, "Coraza itself must not refuse it")
				v := rec.View
				assert.True(t, slices.ContainsFunc(v.Values, func(x request.Value) bool {
					got, err := p.text(x.Text)
					return x.Place == p.want && err == nil && got == text
				}), "%q is not at %s in %q", text, p.want, v.Values)
				assert.Contains(t, v.Values, request.Value{Place: request.Query, Name: "step", Text: "2"})
				assert.Contains(t, v.Values, request.Value{Place: request.Cookie, Name: "sid", Text: "1"})
				for _, m := range v.Matches {
					assert.NotContains(t, []int{920160, 920170, 920180, 920340}, m.Rule, "headers that do not fit the body mark every embedded attack")
				}
			})
		}
	}
}

func plain(s string) (string, error) { return s, nil }

func TestEmbedLabels(t *testing.T) {
	payload := &traffic.Request{Set: "lists", Origin: "list", Label: traffic.Attack, Class: "xss", Src: "list#7", Payload: "<script>"}
	for place := range augment.Place(augment.Places) {
		e := envelope()
		r := augment.Embed(payload, e, place, rand.New(rand.NewPCG(1, 1)))
		assert.Equal(t, envelope(), e, "the envelope stays as it is")
		require.NoError(t, r.Validate())
		assert.False(t, r.IsPayload())
		assert.Equal(t, []string{"lists", "list", traffic.Attack, "xss", "list#7"}, []string{r.Set, r.Origin, r.Label, r.Class, r.Src})
		again := augment.Embed(payload, e, place, rand.New(rand.NewPCG(1, 1)))
		assert.Equal(t, r, again, "the same seed gives the same request")

		length := slices.IndexFunc(r.Headers, func(h [2]string) bool { return strings.EqualFold(h[0], "content-length") })
		require.GreaterOrEqual(t, length, 0)
		assert.Equal(t, strconv.Itoa(len(r.Body)), r.Headers[length][1])
	}
	bare := envelope()
	bare.URI, bare.Headers, bare.Body = "/", nil, nil
	rng := rand.New(rand.NewPCG(1, 1))
	assert.Contains(t, augment.Embed(payload, bare, augment.Query, rng).URI, "/?")
	cookie := augment.Embed(payload, bare, augment.Cookie, rng).Headers
	require.Len(t, cookie, 1)
	assert.Equal(t, "Cookie", cookie[0][0])
}
