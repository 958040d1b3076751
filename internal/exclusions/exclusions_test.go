// SPDX-License-Identifier: Apache-2.0

package exclusions

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/model/request"
)

func TestDirectives(t *testing.T) {
	assert.Equal(t, `SecRuleRemoveById 942100
SecRuleUpdateTargetById 942200 "!REQUEST_COOKIES:_ga"
SecRuleUpdateTargetById 932200 "!ARGS|!ARGS_GET|!ARGS_POST"
`, Directives([]Exclusion{{Rule: 942100}, {942200, "cookie", "_ga"}, {932200, "args", ""}}))
	for place := request.Path; place.String() != "unknown"; place++ {
		assert.NotEmpty(t, variablesOf[KindOf(place)], "%v has a name in SecLang", place)
	}
}

// TestExclusionsReplayed loads exclusions of each kind into CRS: what they take away is gone, and only that.
func TestExclusionsReplayed(t *testing.T) {
	cache, err := replay.OpenCache(t.TempDir())
	require.NoError(t, err)
	defer cache.Close()
	attack := &traffic.Request{Label: traffic.Attack, Method: "GET", URI: "/?q=1%27%20UNION%20SELECT%20a%20FROM%20b--",
		Headers: [][2]string{{"Host", "shop.example"}, {"User-Agent", "test"}, {"Accept", "*/*"}}}
	matched := func(c *replay.Cache) (rules []int) {
		for rec := range c.Recordings(t.Context(), func(yield func(*traffic.Request) bool) { yield(attack) }, 1) {
			require.NoError(t, rec.Err)
			for _, m := range rec.View.Matches {
				rules = append(rules, m.Rule)
			}
		}
		return rules
	}
	all := matched(cache)
	require.Contains(t, all, 942100)
	for _, gone := range []Exclusion{{Rule: 942100}, {942100, "args", ""}, {942100, "args", "q"}} {
		c, err := cache.WithRules(Directives([]Exclusion{gone}))
		require.NoError(t, err)
		assert.NotContains(t, matched(c), 942100, "%v", gone)
		assert.Len(t, matched(c), len(all)-1, "%v", gone)
	}
	for _, stays := range []Exclusion{{942100, "cookie", ""}, {942100, "args", "other"}} {
		c, err := cache.WithRules(Directives([]Exclusion{stays}))
		require.NoError(t, err)
		assert.Equal(t, all, matched(c), "%v", stays)
	}
	assert.Equal(t, all, matched(cache), "the plain cache is left as it was")
	_, err = cache.WithRules("SecRuleRemoveById x")
	assert.Error(t, err)
}
