// SPDX-License-Identifier: Apache-2.0

package rules_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/corazawaf/coraza/v3/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/rules"
)

// Outcomes in phase 2, by the rule that speaks.
const (
	passed       = 0
	detected     = 9529220 // denied below CRS's threshold, mode detect
	mlAlone      = 9529221 // the same, mode ml_only
	both         = 9529241
	veto         = 9529242
	shadowDenied = 9529243 // second_verdict would have denied
	shadowVeto   = 9529244
	crsAlone     = 9529249
)

// assertOutcome checks status, interruption and log of an answer: the rule of the outcome speaks, and but for those in
// also no other one of the plugin.
func assertOutcome(t *testing.T, a waftest.Answer, outcome int, also ...int) {
	t.Helper()
	want := append([]int{}, also...)
	if outcome != passed {
		want = append(want, outcome)
	}
	assert.ElementsMatch(t, want, a.Says(), "the plugin's rules that log")
	if outcome == passed || outcome == veto {
		assert.Equal(t, http.StatusOK, a.Status)
		return
	}
	assert.Equal(t, http.StatusForbidden, a.Status)
	assert.Equal(t, outcome, a.Rule)
}

func variable(name, value string) func(*waf.Config) {
	return waftest.With(fmt.Sprintf(`SecAction "id:1,phase:1,pass,nolog,setvar:'tx.ml-verdict-plugin_%s=%s'"`, name, value))
}

// The three requests of the README, with the embedded model, under every setting.
func TestModes(t *testing.T) {
	tests := []struct {
		name              string
		set               func(*waf.Config)
		injection, beacon int // outcomes; hello always passes
		complaint         int // rule that logs the setting
	}{
		{name: "default", set: func(*waf.Config) {}, injection: both, beacon: veto},
		{name: "second_verdict", set: variable("mode", "second_verdict"), injection: both, beacon: veto},
		{name: "shadow", set: variable("mode", "shadow"), injection: shadowDenied, beacon: shadowVeto},
		{name: "detect", set: variable("mode", "detect"), injection: both, beacon: veto},
		{name: "ml_only", set: variable("mode", "ml_only"), injection: both, beacon: veto},
		{name: "disabled", set: variable("enabled", "0"), injection: crsAlone, beacon: crsAlone},

		{name: "enabled yes", set: variable("enabled", "yes"), injection: crsAlone, beacon: crsAlone, complaint: 9529121},
		{name: "unknown mode", set: variable("mode", "second-verdict"), injection: crsAlone, beacon: crsAlone, complaint: 9529122},
		{name: "part of a mode", set: variable("mode", "second"), injection: crsAlone, beacon: crsAlone, complaint: 9529122},
		{name: "threshold 0", set: variable("threshold", "0"), injection: crsAlone, beacon: crsAlone, complaint: 9529123},
		{name: "threshold 100", set: variable("threshold", "100"), injection: crsAlone, beacon: crsAlone, complaint: 9529123},
		{name: "threshold abc", set: variable("threshold", "abc"), injection: crsAlone, beacon: crsAlone, complaint: 9529123},
		{name: "detect threshold 0", set: variable("detect_threshold", "0"), injection: crsAlone, beacon: crsAlone, complaint: 9529124},
		{name: "detect threshold 100", set: variable("detect_threshold", "100"), injection: crsAlone, beacon: crsAlone, complaint: 9529124},
		{name: "detect threshold abc", set: variable("detect_threshold", "abc"), injection: crsAlone, beacon: crsAlone, complaint: 9529124},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := waftest.New(t, tt.set)
			var also []int
			if tt.complaint != 0 {
				also = append(also, tt.complaint)
			}
			a := waftest.Ask(t, w, waftest.Hello())
			assertOutcome(t, a, passed, also...)
			if tt.complaint != 0 {
				assert.Contains(t, a.Log[tt.complaint], "ml-verdict-plugin_")
			}

			a = waftest.Ask(t, w, waftest.Injection())
			assertOutcome(t, a, tt.injection, also...)
			assert.Contains(t, a.Log, 949110, "CRS's own log line stays")
			assert.Contains(t, a.Log, 980170, "CRS's report stays")

			a = waftest.Ask(t, w, waftest.Beacon())
			assertOutcome(t, a, tt.beacon, also...)
			assert.Contains(t, a.Log, 949110)
		})
	}
}

func TestLogTellsBothScores(t *testing.T) {
	w := waftest.New(t)
	for _, r := range []*http.Request{waftest.Injection(), waftest.Beacon()} {
		a := waftest.Ask(t, w, r)
		line := a.Log[both] + a.Log[veto]
		assert.Contains(t, line, "CRS score "+a.TX["blocking_inbound_anomaly_score"]+",")
		assert.Contains(t, line, "ML score "+a.TX["ml_score"]+")")
		assert.Contains(t, line, "class "+a.TX["ml_class"]+",")
		assert.Contains(t, line, a.TX["ml_reason"])
		assert.NotContains(t, line, "%{")
	}
}

// A veto tells why the model let the request pass.
func TestLogTellsWhyAVetoWasGiven(t *testing.T) {
	for _, mode := range []struct {
		name string
		veto int
	}{{"second_verdict", veto}, {"shadow", shadowVeto}} {
		a := waftest.Ask(t, waftest.New(t, variable("mode", mode.name)), waftest.Beacon())
		assert.Regexp(t, `class \w+, score `+a.TX["ml_score"]+` > threshold 50, model [0-9a-f]{12}: .+; rule 942550 matches the like in [0-9.]+% of normal requests$`, a.Log[mode.veto])
	}
}

// A log line is one line, whatever the request holds, and Coraza, which cuts it at 280 bytes, cuts nothing off.
func TestLogLineCannotBeForged(t *testing.T) {
	const injection = "1' UNION SELECT password FROM users-- "
	nasty := map[string]string{
		"line breaks": "\r\n[client \"1.1.1.1\"] all is well", "end of the field": `"] [id "1"] [msg "`,
		"macro": "%{tx.ml_score} %{tx.blocking_inbound_anomaly_score}", "not UTF-8": "\xff\xfe\xc0\xaf", "terminal": "\x1b[2J\x1b[31m\x9b",
	}
	var lines []string
	w := waftest.New(t, func(c *waf.Config) {
		c.Threshold = 99 // the longest line
		c.ErrorLog = func(mr types.MatchedRule) {
			if rules.Owns(mr.Rule().ID()) {
				lines = append(lines, mr.ErrorLog())
			}
		}
	})
	for what, text := range nasty {
		name := url.QueryEscape(strings.Repeat("n"+text, 20))
		target := "/?" + name + "=" + url.QueryEscape(injection+text+strings.Repeat(injection, 20)+text)
		a := waftest.Ask(t, w, waftest.Get(target))
		require.Len(t, lines, 1, what)
		line, data := lines[0], a.TX["ml_reason"]
		lines = nil
		assert.NotContains(t, line, "\n", what)
		assert.NotContains(t, line, "\x1b", what)
		assert.Regexp(t, `\[id "9529241"\]`, line, what)
		assert.Regexp(t, `the like in .* normal requests?"\]`, line, "%s: whole", what)
		assert.NotContains(t, data, "%{", what)
		for _, c := range data {
			assert.True(t, c >= ' ' && c <= '~' && !strings.ContainsRune(`"[]`, c), "%s: %q in %s", what, c, data)
		}
		assert.True(t, strings.HasSuffix(a.Log[both], data), "%s: %s is not the end of %s", what, data, a.Log[both])
	}
}

// The thresholds, with models that give every request the same score.
func TestThresholds(t *testing.T) {
	tests := []struct {
		mode             string
		score            int
		threshold        int
		detectThreshold  int
		hello, injection int
	}{
		{mode: "second_verdict", score: 50, hello: passed, injection: both},
		{mode: "second_verdict", score: 51, hello: passed, injection: veto},
		{mode: "second_verdict", score: 1, hello: passed, injection: both},
		{mode: "second_verdict", score: 20, threshold: 19, hello: passed, injection: veto},
		{mode: "second_verdict", score: 99, threshold: 99, hello: passed, injection: both},

		{mode: "shadow", score: 50, hello: passed, injection: shadowDenied},
		{mode: "shadow", score: 51, hello: passed, injection: shadowVeto},

		{mode: "detect", score: 40, hello: detected, injection: both},
		{mode: "detect", score: 41, hello: passed, injection: both},
		{mode: "detect", score: 7, detectThreshold: 7, hello: detected, injection: both},
		{mode: "detect", score: 51, hello: passed, injection: veto},
		{mode: "detect", score: 51, detectThreshold: 60, hello: detected, injection: both},

		{mode: "ml_only", score: 50, hello: mlAlone, injection: both},
		{mode: "ml_only", score: 51, hello: passed, injection: veto},
		{mode: "ml_only", score: 51, detectThreshold: 60, hello: passed, injection: veto},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s score %d of %d and %d", tt.mode, tt.score, tt.threshold, tt.detectThreshold), func(t *testing.T) {
			w := waftest.New(t, func(c *waf.Config) {
				c.Mode, c.Threshold, c.DetectThreshold = tt.mode, tt.threshold, tt.detectThreshold
				c.ModelPath = waftest.Model(t, tt.score)
			})
			assertOutcome(t, waftest.Ask(t, w, waftest.Hello()), tt.hello)
			assertOutcome(t, waftest.Ask(t, w, waftest.Injection()), tt.injection)
		})
	}
}

func TestSettingsPerRoute(t *testing.T) {
	const route = `SecRule REQUEST_FILENAME "@beginsWith /cms/" "id:1,phase:1,pass,nolog,setvar:tx.ml-verdict-plugin_%s"`
	injection := func() *http.Request { return waftest.Get("/cms" + waftest.Injection().URL.String()) }
	beacon := func() *http.Request {
		r := waftest.Get("/cms/")
		r.Header = waftest.Beacon().Header
		return r
	}
	tests := []struct {
		setting           string
		injection, beacon int
	}{
		{setting: "enabled=0", injection: crsAlone, beacon: crsAlone},
		{setting: "mode=shadow", injection: shadowDenied, beacon: shadowVeto},
		{setting: "threshold=99", injection: both, beacon: both},
	}
	for _, tt := range tests {
		t.Run(tt.setting, func(t *testing.T) {
			w := waftest.New(t, waftest.With(fmt.Sprintf(route, tt.setting)))
			assertOutcome(t, waftest.Ask(t, w, injection()), tt.injection)
			assertOutcome(t, waftest.Ask(t, w, beacon()), tt.beacon)

			assertOutcome(t, waftest.Ask(t, w, waftest.Injection()), both)
			assertOutcome(t, waftest.Ask(t, w, waftest.Beacon()), veto)
		})
	}
}
