// SPDX-License-Identifier: Apache-2.0

package waf_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/corazawaf/coraza/v3/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
)

func TestConfigErrors(t *testing.T) {
	tests := []struct {
		name string
		set  func(*waf.Config)
		want string
	}{
		{"no paranoia level", func(c *waf.Config) { c.Paranoia = 0 }, "waf: paranoia level 0: want 1 to 4"},
		{"paranoia level", func(c *waf.Config) { c.Paranoia = 5 }, "waf: paranoia level 5: want 1 to 4"},
		{"mode", func(c *waf.Config) { c.Mode = "on" },
			`waf: mode "on": want one of [second_verdict shadow detect ml_only]`},
		{"threshold", func(c *waf.Config) { c.Threshold = 100 }, "waf: threshold 100: want 1 to 99"},
		{"detect threshold", func(c *waf.Config) { c.DetectThreshold = -1 }, "waf: detect threshold -1: want 1 to 99"},
		{"missing model", func(c *waf.Config) { c.ModelPath = "/nowhere/site.model" }, "SecDataset ml-verdict-model /nowhere/site.model"},
		{"model path", func(c *waf.Config) { c.ModelPath = "a\nb" }, `waf: model "a\nb": a path must not`},
		{"mode without plugin", func(c *waf.Config) { c.Plugin, c.Mode = false, "shadow" }, "need the plugin"},
		{"extra directives", waftest.With("SecNothing"), `unknown directive "secnothing"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			config := waf.Config{Paranoia: 1, Plugin: true}
			tt.set(&config)
			_, err := waf.New(config)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestSettingsReachTheRules(t *testing.T) {
	w := waftest.New(t, func(c *waf.Config) {
		c.Paranoia, c.Mode, c.Threshold, c.DetectThreshold = 3, "detect", 40, 4
		c.ModelPath, c.EarlyBlocking = waftest.Model(t, 41), true
	})
	a := waftest.Ask(t, w, waftest.Hello())
	for name, want := range map[string]string{
		"blocking_paranoia_level": "3", "detection_paranoia_level": "3", "early_blocking": "1",
		"ml-verdict-plugin_mode": "detect", "ml-verdict-plugin_threshold": "40",
		"ml-verdict-plugin_detect_threshold": "4", "ml_score": "41",
	} {
		assert.Equal(t, want, a.TX[name], name)
	}
}

func TestWithoutPlugin(t *testing.T) {
	w := waftest.New(t, func(c *waf.Config) { c.Plugin = false })
	assert.Equal(t, http.StatusOK, waftest.Ask(t, w, waftest.Hello()).Status)
	for _, r := range []*http.Request{waftest.Injection(), waftest.Beacon()} {
		a := waftest.Ask(t, w, r)
		assert.Equal(t, http.StatusForbidden, a.Status)
		assert.Equal(t, 949110, a.Rule)
		assert.Empty(t, a.TX["ml_score"])
	}
}

// What is replayed by one WAF must not be taken for what another one would do.
func TestDigestTellsWAFsApart(t *testing.T) {
	seen := map[[32]byte]bool{}
	for _, c := range []waf.Config{
		{Paranoia: 1}, {Paranoia: 4}, {Paranoia: 4, Plugin: true}, {Paranoia: 4, AfterCRS: "SecRuleRemoveById 942100"}, {Paranoia: 4, EarlyBlocking: true},
	} {
		first, err := c.Digest()
		require.NoError(t, err)
		again, err := c.Digest()
		require.NoError(t, err)
		assert.Equal(t, first, again)
		assert.False(t, seen[first], "%+v", c)
		seen[first] = true
	}
}

func TestErrorLog(t *testing.T) {
	var vetoes atomic.Int64
	w := waftest.New(t, func(c *waf.Config) {
		c.ErrorLog = func(mr types.MatchedRule) {
			if mr.Rule().ID() == 9529242 {
				vetoes.Add(1)
			}
		}
	})
	waftest.Ask(t, w, waftest.Beacon())
	waftest.Ask(t, w, waftest.Hello())
	assert.EqualValues(t, 1, vetoes.Load())
}

// Coraza drops arguments beyond the thousandth, and an attack with them. The rules on that limit have to be there,
// with and without the plugin.
func TestArgumentLimit(t *testing.T) {
	var filler strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&filler, "a%d=1&", i)
	}
	query := filler.String() + waftest.Injection().URL.RawQuery
	for _, plugin := range []bool{true, false} {
		w := waftest.New(t, func(c *waf.Config) { c.Plugin = plugin })

		a := waftest.Ask(t, w, waftest.Get("/?"+query))
		assert.Equal(t, http.StatusBadRequest, a.Status)
		assert.Equal(t, 200004, a.Rule)

		a = waftest.Ask(t, w, waftest.Post("/", query))
		assert.Equal(t, http.StatusBadRequest, a.Status)
		assert.Equal(t, 200005, a.Rule)

		a = waftest.Ask(t, w, waftest.Get("/?"+strings.TrimSuffix(filler.String(), "&")))
		assert.Equal(t, http.StatusOK, a.Status, "1,000 arguments are allowed")
	}
}

// A body over Coraza's limit is refused before any rule reads it, with and without the plugin, and JSON that is nested
// without end by the rule on bodies that cannot be parsed.
func TestBodyLimits(t *testing.T) {
	const limit = 13_107_200 // SecRequestBodyLimit of Coraza's recommended configuration
	for _, plugin := range []bool{true, false} {
		w := waftest.New(t, func(c *waf.Config) { c.Plugin = plugin })
		a := waftest.Ask(t, w, waftest.Post("/", strings.Repeat("a", limit+1)))
		assert.Equal(t, http.StatusRequestEntityTooLarge, a.Status)

		deep := waftest.Post("/", strings.Repeat("[", 5000)+strings.Repeat("]", 5000))
		deep.Header.Set("Content-Type", "application/json")
		a = waftest.Ask(t, w, deep)
		assert.Equal(t, http.StatusBadRequest, a.Status)
		assert.Equal(t, 200002, a.Rule)
	}
}
