// SPDX-License-Identifier: Apache-2.0

package exclusions

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/corazawaf/coraza/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/traffic"
)

// hostile are names as attackers would send them, to get out of a target or to widen it.
var hostile = []string{
	`a"b`, `"`, "a\nSecRuleEngine Off", "a\r\nb", "a b", "a|!ARGS", "a|b", "a/b", "/.*/", `a\`, `a\/b`, `\"`, "a'b", "'/.*/'", "`",
	".*", "a.*", "[a-z]+", "filter[price][$gt]", "(", "a{2}", "^$", "x?", "a,b", "a:b", "!a", "&a", "#a", "%{tx.x}", "\x00", "\x7f",
	"straße", "ÄÖ", "名", "\u2028", "😀", "İ", "ARGS:x", "+", "$x",
}

func TestSelector(t *testing.T) {
	for name, want := range map[string]string{
		"comment":    "comment",
		"_GA.x-1":    "_ga.x-1",
		"q[0]":       `/^q\x{5b}0\x{5d}$/`,
		"a.b c":      `/^a\.b\x{20}c$/`,
		`"; deny`:    `/^\x{22}\x{3b}\x{20}deny$/`,
		"Straße":     `/^stra\x{df}e$/`,
		"json.a.0.b": "json.a.0.b",
	} {
		got, ok := Selector(name)
		assert.True(t, ok, name)
		assert.Equal(t, want, got)
	}
	for _, name := range []string{"", "a\xff", strings.Repeat("a", maxSelector+1)} {
		_, ok := Selector(name)
		assert.False(t, ok, "%q", name)
		_, ok = Numbered("abc1" + name + "\xff")
		assert.False(t, ok, "%q", name)
	}
}

func TestNumbered(t *testing.T) {
	for name, want := range map[string]string{
		"json.items.0.url":  `/^json\.items\.\d+\.url$/`,
		"__stat_19762":      `/^__stat_\d+$/`,
		"Row[12][3]":        `/^row\x{5b}\d+\x{5d}\x{5b}\d+\x{5d}$/`,
		"no_number":         "",
		"q1":                "",
		"12_34-56.7890[12]": "",
	} {
		got, ok := Numbered(name)
		assert.Equal(t, want, got)
		assert.Equal(t, want != "", ok)
	}
}

// TestHostileNames loads targets of hostile names into CRS: each is excluded, and nothing beside it.
func TestHostileNames(t *testing.T) {
	cache, err := replay.OpenCache(t.TempDir())
	require.NoError(t, err)
	defer cache.Close()
	var list []Exclusion
	var rows []*traffic.Request
	ask := func(name string) {
		rows = append(rows, &traffic.Request{Method: "GET", URI: "/?" + url.QueryEscape(name) + "=" + url.QueryEscape("1' UNION SELECT a FROM b--"),
			Headers: [][2]string{{"Host", "shop.example"}, {"User-Agent", "test"}, {"Accept", "*/*"}}})
	}
	for _, name := range hostile {
		selector, ok := Selector(name)
		require.True(t, ok, "%q", name)
		list = append(list, Exclusion{942100, "args", selector})
		ask(name)
	}
	for _, neighbour := range []string{"ab", "aab", "b", "aa", "x", "other", "filterp", "filterg", "strae", "secruleengine"} {
		ask(neighbour)
	}
	var text strings.Builder
	for _, e := range list {
		text.WriteString(e.String() + "\n")
	}
	assert.Equal(t, len(hostile), strings.Count(text.String(), "\n"), "one line each")
	configured, err := cache.WithRules(text.String())
	require.NoError(t, err)
	i := 0
	for rec := range configured.Recordings(t.Context(), func(yield func(*traffic.Request) bool) {
		for _, r := range rows {
			if !yield(r) {
				return
			}
		}
	}, 0) {
		require.NoError(t, rec.Err)
		var matched bool
		for _, m := range rec.View.Matches {
			matched = matched || m.Rule == 942100
		}
		assert.Equal(t, i >= len(hostile), matched, "%s", rec.Request.URI)
		i++
	}
	assert.Equal(t, len(rows), i)
}

// FuzzSelector holds every selector that is not refused to what it promises, in Coraza.
func FuzzSelector(f *testing.F) {
	for _, name := range append(hostile, "comment", "Row[12]") {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		selector, ok := Selector(name)
		if !ok {
			return
		}
		w, err := coraza.NewWAF(coraza.NewWAFConfig().WithDirectives(fmt.Sprintf(`
			SecRuleEngine On
			SecRule ARGS "@streq bad" "id:1,phase:1,deny,status:403"
			SecRuleUpdateTargetById 1 "!ARGS:%s"`, selector)))
		require.NoError(t, err)
		denied := func(name string) bool {
			tx := w.NewTransaction()
			defer tx.Close()
			tx.AddGetRequestArgument(name, "bad")
			return tx.ProcessRequestHeaders() != nil
		}
		assert.False(t, denied(name), "%q is excluded by %s", name, selector)
		assert.True(t, denied(name+"a"), "%s excludes more than %q", selector, name)
		assert.True(t, denied("a"+name), "%s excludes more than %q", selector, name)
	})
}
