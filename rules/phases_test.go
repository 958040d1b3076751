// SPDX-License-Identifier: Apache-2.0

package rules_test

import (
	"net/http"
	"testing"

	"github.com/corazawaf/coraza/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/plugin/crs"
)

// Outcomes in phase 1, with early blocking.
const (
	earlyBoth         = 9529141
	earlyVeto         = 9529142
	earlyShadowDenied = 9529143
	earlyShadowVeto   = 9529144
	earlyCRSAlone     = 9529149
)

// plainText is a request that CRS flags in phase 1 already, for its content type (920420), as it flags the text/plain
// that browsers send with navigator.sendBeacon.
func plainText(body string) *http.Request {
	r := waftest.Post("/collect", body)
	r.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	return r
}

const (
	harmlessBody  = "event=pageview"
	injectionBody = "id=1' UNION SELECT password FROM users--"
)

// A veto in phase 1 was given without the body, so it must not save the body.
func TestEarlyVetoIsNotReused(t *testing.T) {
	w := waftest.New(t, func(c *waf.Config) { c.EarlyBlocking = true })

	assertOutcome(t, waftest.Ask(t, w, plainText(harmlessBody)), veto, earlyVeto)
	assertOutcome(t, waftest.Ask(t, w, plainText(injectionBody)), both, earlyVeto)
}

func TestEarlyBlocking(t *testing.T) {
	tests := []struct {
		name    string
		set     func(*waf.Config)
		score   int
		outcome int
		also    []int
	}{
		{name: "second_verdict", score: 50, outcome: earlyBoth},
		{name: "second_verdict, vetoed", score: 51, outcome: veto, also: []int{earlyVeto}},
		{name: "shadow", set: variable("mode", "shadow"), score: 50, outcome: earlyShadowDenied},
		{name: "shadow, vetoed", set: variable("mode", "shadow"), score: 51, outcome: earlyShadowVeto},
		{name: "detect", set: variable("mode", "detect"), score: 50, outcome: earlyBoth},
		{name: "ml_only", set: variable("mode", "ml_only"), score: 50, outcome: earlyBoth},
		{name: "ml_only, vetoed", set: variable("mode", "ml_only"), score: 51, outcome: veto, also: []int{earlyVeto}},
		{name: "disabled", set: variable("enabled", "0"), score: 99, outcome: earlyCRSAlone},
		{name: "unknown mode", set: variable("mode", "x"), score: 99, outcome: earlyCRSAlone, also: []int{9529122}},
		{name: "threshold 100", set: variable("threshold", "100"), score: 99, outcome: earlyCRSAlone, also: []int{9529123}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := waftest.New(t, func(c *waf.Config) {
				c.EarlyBlocking, c.ModelPath = true, waftest.Model(t, tt.score)
				if tt.set != nil {
					tt.set(c)
				}
			})
			a := waftest.Ask(t, w, plainText(harmlessBody))
			assert.Contains(t, a.Log, 949111, "CRS's own log line stays")
			assertOutcome(t, a, tt.outcome, tt.also...)
		})
	}
}

// Below CRS's threshold nothing is denied in phase 1, where the body is not known.
func TestEarlyBlockingWaitsForPhase2(t *testing.T) {
	tests := []struct {
		mode    string
		outcome int
	}{
		{"detect", detected},
		{"ml_only", mlAlone},
	}
	for _, tt := range tests {
		t.Run(tt.mode, func(t *testing.T) {
			w := waftest.New(t, func(c *waf.Config) {
				c.EarlyBlocking, c.Mode, c.ModelPath = true, tt.mode, waftest.Model(t, 1)
			})
			assertOutcome(t, waftest.Ask(t, w, waftest.Hello()), tt.outcome)
		})
	}
}

// Without early blocking CRS is over its threshold in phase 1, too, and nothing may come of it there.
func TestNoEarlyBlocking(t *testing.T) {
	w := waftest.New(t, func(c *waf.Config) { c.ModelPath = waftest.Model(t, 1) })

	assertOutcome(t, waftest.Ask(t, w, plainText(harmlessBody)), both)
}

func TestDetectionOnly(t *testing.T) {
	tests := []struct {
		name    string
		set     func(*waf.Config)
		request func() *http.Request
		says    int
	}{
		{"denied by both", variable("mode", "second_verdict"), waftest.Injection, both},
		{"vetoed", variable("mode", "second_verdict"), waftest.Beacon, veto},
		{"shadow, denied", variable("mode", "shadow"), waftest.Injection, shadowDenied},
		{"shadow, vetoed", variable("mode", "shadow"), waftest.Beacon, shadowVeto},
		{"detect", variable("mode", "detect"), waftest.Injection, both},
		{"ml_only", variable("mode", "ml_only"), waftest.Beacon, veto},
		{"disabled", variable("enabled", "0"), waftest.Beacon, crsAlone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := waftest.Ask(t, waftest.New(t, tt.set, waftest.With("SecRuleEngine DetectionOnly")), tt.request())
			assert.Equal(t, http.StatusOK, a.Status)
			assert.Equal(t, []int{tt.says}, a.Says(), "one outcome, no second one behind it")
			assert.Contains(t, a.Log, 949110)
		})
	}
}

// A detection paranoia level above the blocking one adds matches that do not count, neither for CRS nor here.
func TestDetectionParanoiaLevel(t *testing.T) {
	detect4 := waftest.With(`SecAction "id:2,phase:1,pass,nolog,setvar:tx.detection_paranoia_level=4"`)
	w := waftest.New(t, detect4)

	a := waftest.Ask(t, w, waftest.Get("/?q=rock+%27n%27+roll+%28live%29+%3B+best+of+%231"))
	assertOutcome(t, a, passed)
	assert.Equal(t, "0", a.TX["blocking_inbound_anomaly_score"])
	assert.NotEqual(t, "0", a.TX["detection_inbound_anomaly_score"], "else this test shows nothing")
	assert.Empty(t, a.TX["ml_model"], "nobody asked the model")

	assertOutcome(t, waftest.Ask(t, w, waftest.Injection()), both)
	assertOutcome(t, waftest.Ask(t, w, waftest.Beacon()), veto)
}

// What takes CRS off a request takes the second verdict off it, in the modes, too, that deny without CRS.
func TestRequestsThatCRSLeavesAlone(t *testing.T) {
	takeOff := map[string]func(*waf.Config){
		"sampled out": waftest.With(`SecAction "id:2,phase:1,pass,nolog,setvar:tx.sampling_percentage=0"`),
		"by tag":      waftest.With(`SecRule REQUEST_FILENAME "@streq /" "id:2,phase:1,pass,nolog,ctl:ruleRemoveByTag=OWASP_CRS"`),
	}
	for name, set := range takeOff {
		for _, mode := range []string{"second_verdict", "shadow", "detect", "ml_only"} {
			t.Run(name+" "+mode, func(t *testing.T) {
				w := waftest.New(t, set, func(c *waf.Config) {
					c.EarlyBlocking, c.Mode, c.ModelPath = true, mode, waftest.Model(t, 1)
				})
				for _, r := range []*http.Request{waftest.Hello(), waftest.Injection()} {
					a := waftest.Ask(t, w, r)
					assertOutcome(t, a, passed)
					assert.Empty(t, a.TX["ml_model"], "nobody asked the model")
				}
			})
		}
	}
}

// Taking CRS's blocking rule off a request keeps CRS from denying, as it does without the plugin.
func TestBlockingRuleTakenOff(t *testing.T) {
	w := waftest.New(t, waftest.With(`SecRule REQUEST_FILENAME "@streq /" "id:2,phase:1,pass,nolog,ctl:ruleRemoveById=949110"`))

	assertOutcome(t, waftest.Ask(t, w, waftest.Injection()), passed)
}

// A status of one's own, as ml-verdict-config.conf describes it.
func TestOwnStatus(t *testing.T) {
	w, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(crs.FS()).WithDirectives(crs.Directives()).
		WithDirectives(`SecRuleUpdateActionById 9529241 "deny,status:406"`))
	require.NoError(t, err)
	assert.Equal(t, http.StatusNotAcceptable, waftest.Ask(t, w, waftest.Injection()).Status)
}
