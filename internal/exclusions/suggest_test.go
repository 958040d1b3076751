// SPDX-License-Identifier: Apache-2.0

package exclusions

import (
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/synthetic"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/model/request"
)

// view is a request whose values are arguments called names and a path; each match is a rule of 5 points and the index
// of the value that it names, -1 for none.
func view(names []string, matches ...[2]int) request.View {
	v := request.View{Paranoia: 1, Limit: 5, Values: []request.Value{{Place: request.Path, Text: "/a"}}}
	for _, name := range names {
		v.Values = append(v.Values, request.Value{Place: request.Query, Name: name, Text: "x"})
	}
	for _, m := range matches {
		match := request.Match{Rule: m[0], Paranoia: 1, Score: 5}
		if m[1] >= 0 {
			match.Spans = []request.Span{{Lo: int32(m[1]), Hi: int32(m[1]) + 1}}
		}
		v.Earned[0] += 5
		v.Matches = append(v.Matches, match)
	}
	return v
}

func times(n int, v request.View, site string) (list []Vetoed) {
	for range n {
		list = append(list, Vetoed{v, site})
	}
	return list
}

func TestSuggest(t *testing.T) {
	q, comment := []string{"q"}, []string{"Comment"}
	vetoed := slices.Concat(
		times(6, view(q, [2]int{942100, 1}), "a"),                          // one exclusion
		times(3, view(q, [2]int{942100, 1}), "b"),                          // on another site
		times(4, view(comment, [2]int{941100, 1}, [2]int{942100, 1}), "b"), // two of them
		times(2, view(nil, [2]int{920640, -1}), ""),                        // no value is named
	)
	attacks := []request.View{
		view(q, [2]int{942100, 1}), view(q, [2]int{942100, 1}, [2]int{941100, 1}),
		view([]string{"id"}, [2]int{942100, 1}), view(q, [2]int{941100, 1}), view(q),
	}
	got := Suggest(vetoed, attacks, 10)
	assert.Equal(t, []Suggestion{
		{Exclusion: Exclusion{942100, "args", "q"}, SoFar: 9, Alone: 9, Needed: 9, Sites: 2, Lost: 1, LostAlone: 1, LostThere: 2},
		{Exclusion: Exclusion{920640, "", ""}, SoFar: 11, Alone: 2, Needed: 2, Lost: 1},
		{Exclusion: Exclusion{941100, "args", "comment"}, SoFar: 11, Needed: 4, Sites: 1, Lost: 1, LostThere: 1},
		{Exclusion: Exclusion{942100, "args", "comment"}, SoFar: 15, Needed: 4, Sites: 1, Lost: 1, LostThere: 2},
	}, got)
	assert.Equal(t, got, Suggest(vetoed, attacks, 10), "the same twice")
	assert.Equal(t, got[:1], Suggest(vetoed, attacks, 1))
	assert.Empty(t, Suggest(nil, attacks, 10))
	assert.Empty(t, Suggest(vetoed[:9], slices.Repeat(attacks[:1], 20), 10), "every attack would be lost")
}

func TestSuggestChoosesTheNarrower(t *testing.T) {
	only := func(vetoed []Vetoed) Exclusion {
		got := Suggest(vetoed, nil, 1)
		require.Len(t, got, 1)
		return got[0].Exclusion
	}
	matched := func(names ...string) (list []Vetoed) {
		for _, name := range names {
			list = append(list, Vetoed{View: view([]string{name}, [2]int{942100, 1})})
		}
		return list
	}
	assert.Equal(t, Exclusion{942100, "args", "row1"}, only(matched("row1", "ROW1", "row1")), "a name is narrower than a pattern")
	assert.Equal(t, Exclusion{942100, "args", `/^row\d+$/`}, only(matched("row1", "row2", "row3")))
	assert.Equal(t, "aa", only(matched("aa", "ba", "ca", "da")).Selector, "four times as much is not enough for all arguments")
	var many []string
	for c := 'a'; c <= 'z'; c++ {
		many = append(many, string(c)+"a")
	}
	assert.Equal(t, Exclusion{942100, "args", ""}, only(matched(many...)), "26 times as much is")
	// Whole rules are for what no target covers: an argument's name that cannot be written leaves all arguments.
	assert.Equal(t, Exclusion{942100, "args", ""}, only(matched("\xff")))
	assert.True(t, Unnamed(&matched("\xff")[0].View))
	assert.False(t, Unnamed(&matched("q")[0].View))
}

// What CRS counted and what its matches make can differ.
func TestReckoningIsCareful(t *testing.T) {
	more := view([]string{"q", "r"}, [2]int{942100, 1}, [2]int{941100, 2})
	more.Earned[0] = 25
	one, two := Exclusion{942100, "args", "q"}, Exclusion{941100, "args", "r"}
	assert.False(t, Set{one: true}.Passes(&more))
	assert.True(t, Set{one: true, two: true}.Passes(&more), "all matches are gone")
	less := view([]string{"q", "r"}, [2]int{942100, 1}, [2]int{941100, 2})
	less.Earned[0] = 5
	assert.False(t, Set{one: true}.Passes(&less), "either may have earned the five points")
	none := view(nil)
	none.Earned[0] = 5
	assert.False(t, Set{one: true}.Passes(&none), "nothing is known of what earned them")
}

// TestSuggestionsInCRS loads suggestions for made-up traffic into CRS: what was reckoned comes true.
func TestSuggestionsInCRS(t *testing.T) {
	cache, err := replay.OpenCache(t.TempDir())
	require.NoError(t, err)
	defer cache.Close()
	const level = 2
	var vetoed []Vetoed
	var requests []*traffic.Request
	var attacks []request.View
	for rec := range cache.Recordings(t.Context(), joined(synthetic.Benign(20, 1), synthetic.Attacks(5, 1)), 0) {
		require.NoError(t, rec.Err)
		v := rec.View.AtParanoia(level)
		switch {
		case rec.Request.Label == traffic.Attack:
			attacks = append(attacks, v)
		case v.Denied():
			vetoed, requests = append(vetoed, Vetoed{v, rec.Request.Site}), append(requests, rec.Request)
		}
	}
	require.Greater(t, len(vetoed), 8)
	found := Suggest(vetoed, attacks, 20)
	var text strings.Builder
	all := Set{}
	for _, s := range found {
		text.WriteString(s.String() + "\n")
		all[s.Exclusion] = true
	}
	passes := 0
	for i, v := range configured(t, cache, text.String(), requests) {
		v := v.AtParanoia(level)
		assert.Equal(t, all.Passes(&vetoed[i].View), !v.Denied(), "%s\n%v\n%s", requests[i].URI, v.Matches, text.String())
		assert.False(t, all.Touches(&v), "what was excluded is gone: %v", v.Matches)
		if !v.Denied() {
			passes++
		}
	}
	assert.Equal(t, found[len(found)-1].SoFar, passes)
	assert.Greater(t, passes, len(vetoed)/2)
}

// configured replays requests through CRS followed by directives.
func configured(t *testing.T, cache *replay.Cache, directives string, requests []*traffic.Request) (views []request.View) {
	t.Helper()
	c, err := cache.WithRules(directives)
	require.NoError(t, err)
	for rec := range c.Recordings(t.Context(), slices.Values(requests), 0) {
		require.NoError(t, rec.Err)
		views = append(views, rec.View)
	}
	require.Len(t, views, len(requests))
	return views
}

// TestNarrowInCRS holds the narrowest target for every match, wherever it stands, to what it promises.
func TestNarrowInCRS(t *testing.T) {
	cache, err := replay.OpenCache(t.TempDir())
	require.NoError(t, err)
	defer cache.Close()
	all := Set{}
	for rec := range cache.Recordings(t.Context(), slices.Values(odd), 0) {
		require.NoError(t, rec.Err)
		require.NotEmpty(t, rec.View.Matches, "%v", rec.Request)
		for _, u := range Units(&rec.View, Narrow) {
			all[u.By[len(u.By)-1]] = true
		}
	}
	var text strings.Builder
	for e := range all {
		if e.Kind == "" || !all[Exclusion{Rule: e.Rule}] { // the targets of a rule that is gone cannot be updated
			text.WriteString(e.String() + "\n")
		}
	}
	for _, target := range []string{`"!REQUEST_COOKIES:prefs"`, `"!REQUEST_HEADERS:referer"`, `"!ARGS:/^say\x{22}`, `"!ARGS_NAMES:/^say\x{22}`,
		`"!XML"`, `"!REQUEST_FILENAME"`, "SecRuleRemoveById 920273", `931110 "!QUERY_STRING"`, `931110 "!REQUEST_BODY"`} {
		assert.Contains(t, text.String(), target)
	}
	for i, v := range configured(t, cache, text.String(), odd) {
		assert.Empty(t, v.Matches, "%s", odd[i].URI)
		assert.Zero(t, v.AtParanoia(4).Earned, "%s", odd[i].URI)
	}
}

// odd are requests that CRS flags, each in a place of its own.
var odd = func() []*traffic.Request {
	const injection = "1%27%20UNION%20SELECT%20a%20FROM%20b--"
	headers := func(more ...[2]string) [][2]string {
		return append([][2]string{{"Host", "odd.example"}, {"User-Agent", "test"}, {"Accept", "*/*"}}, more...)
	}
	post := func(contentType, body string) *traffic.Request {
		return &traffic.Request{Method: "POST", URI: "/", Body: []byte(body),
			Headers: headers([2]string{"Content-Type", contentType}, [2]string{"Content-Length", strconv.Itoa(len(body))})}
	}
	return []*traffic.Request{
		{Method: "GET", URI: "/", Headers: headers([2]string{"Cookie", "prefs=1' UNION SELECT a FROM b--"})},
		{Method: "GET", URI: "/", Headers: headers([2]string{"Referer", "https://odd.example/?q=" + injection})},
		{Method: "GET", URI: "/?say%22%0ASecRuleEngine%20Off=" + injection, Headers: headers()},
		{Method: "GET", URI: "/.git/config", Headers: headers()},
		post("text/xml", "<a><b>1' UNION SELECT a FROM b--</b></a>"),
		post("application/json", `{"list":[{"text":"<script>alert(1)</script>"}]}`),
		{Method: "GET", URI: "/?mosConfig_absolute_path=http://a.example/x", Headers: headers()},
		post("application/x-www-form-urlencoded", "mosConfig_absolute_path=http://a.example/x"),
		post("application/x-www-form-urlencoded", "note=a%21%22b"),
	}
}()

func joined(all ...iter.Seq[*traffic.Request]) iter.Seq[*traffic.Request] {
	return func(yield func(*traffic.Request) bool) {
		for _, seq := range all {
			for r := range seq {
				if !yield(r) {
					return
				}
			}
		}
	}
}
