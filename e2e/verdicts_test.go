// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/rules"
)

// Outcomes, by the rule that speaks.
const (
	detected     = 9529220
	mlAlone      = 9529221
	both         = 9529241
	veto         = 9529242
	shadowDenied = 9529243
	shadowVeto   = 9529244
	crsAlone     = 9529249

	earlyBoth = 9529141
	earlyVeto = 9529142
)

// Every mode, with models that give every request the same score.
func TestModes(t *testing.T) {
	tests := []struct {
		name             string
		set              []string
		score            int
		hello, injection int // the plugin's rule that logs; 0 = none
		denied           []int
	}{
		{name: "deny on both", score: 50, injection: both, denied: []int{both}},
		{name: "veto", score: 51, injection: veto},
		{name: "shadow", set: []string{variable("ml-verdict-plugin_mode", "shadow")}, score: 50,
			injection: shadowDenied, denied: []int{shadowDenied}},
		{name: "shadow, a veto", set: []string{variable("ml-verdict-plugin_mode", "shadow")}, score: 51,
			injection: shadowVeto, denied: []int{shadowVeto}},
		{name: "detect", set: []string{variable("ml-verdict-plugin_mode", "detect"), variable("ml-verdict-plugin_detect_threshold", "7")},
			score: 7, hello: detected, injection: both, denied: []int{detected, both}},
		{name: "detect, not sure", set: []string{variable("ml-verdict-plugin_mode", "detect"), variable("ml-verdict-plugin_detect_threshold", "7")},
			score: 8, injection: both, denied: []int{both}},
		{name: "ml_only", set: []string{variable("ml-verdict-plugin_mode", "ml_only")}, score: 50,
			hello: mlAlone, injection: both, denied: []int{mlAlone, both}},
		{name: "disabled", set: []string{variable("ml-verdict-plugin_enabled", "0")}, score: 51,
			injection: crsAlone, denied: []int{crsAlone}},
		{name: "DetectionOnly", set: []string{"SecRuleEngine DetectionOnly"}, score: 50, injection: both},
		{name: "DetectionOnly, a veto", set: []string{"SecRuleEngine DetectionOnly"}, score: 51, injection: veto},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := start(t, directives(append(tt.set, useModel(waftest.Model(t, tt.score)))...))
			eachProtocol(t, func(t *testing.T, client *http.Client, protocol string) {
				path := "/" + strings.ReplaceAll(protocol, "/", "-")
				hello := ask(t, client, newRequest(t, http.MethodGet, c.url+path+"/hello"+helloQuery, nil))
				injection := ask(t, client, newRequest(t, http.MethodGet, c.url+path+"/injection"+injectionQuery, nil))
				said := c.said(t)

				for _, x := range []struct {
					answer  answer
					path    string
					outcome int
				}{{hello, path + "/hello", tt.hello}, {injection, path + "/injection", tt.injection}} {
					assert.Equal(t, protocol, x.answer.protocol)
					assert.Equal(t, status(tt.denied, x.outcome), x.answer.status)
					assertSays(t, said[x.path], x.outcome)
				}
				if line := said[path+"/injection"][tt.injection]; tt.injection != crsAlone {
					assert.Contains(t, line, fmt.Sprintf("ML score %d)", tt.score))
					assert.Regexp(t, `CRS score [1-9]\d*, ML`, line)
					assert.Regexp(t, `\[data "class \w+, (score \d+ > )?threshold 50, model [0-9a-f]{12}: .+"\]`, line, "the reason")
				}
			})
		})
	}
}

// status is what a client gets for an outcome.
func status(denied []int, outcome int) int {
	for _, rule := range denied {
		if rule == outcome {
			return http.StatusForbidden
		}
	}
	return http.StatusOK
}

// assertSays holds that of the plugin's rules exactly those given have logged. 0 is none.
func assertSays(t *testing.T, said map[int]string, want ...int) {
	t.Helper()
	var got, expected []int
	for id := range said {
		if rules.Owns(id) {
			got = append(got, id)
		}
	}
	for _, id := range want {
		if id != 0 {
			expected = append(expected, id)
		}
	}
	assert.ElementsMatch(t, expected, got, "the plugin's rules that log")
}

// The embedded model, as it is without any setting.
func TestDefault(t *testing.T) {
	c := start(t, directives())
	eachProtocol(t, func(t *testing.T, client *http.Client, protocol string) {
		path := "/" + strings.ReplaceAll(protocol, "/", "-")
		assert.Equal(t, http.StatusOK, ask(t, client, newRequest(t, http.MethodGet, c.url+path+helloQuery, nil)).status)
		assertSays(t, c.said(t)[path])
		assert.Equal(t, http.StatusForbidden, ask(t, client, newRequest(t, http.MethodGet, c.url+path+injectionQuery, nil)).status)
		assertSays(t, c.said(t)[path], both)
	})
}

// plainText is flagged in phase 1 already, for its content type.
func plainText(t *testing.T, url, body string) *http.Request {
	r := newRequest(t, http.MethodPost, url, strings.NewReader(body))
	r.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	return r
}

func TestEarlyBlocking(t *testing.T) {
	early := variable("early_blocking", "1")

	t.Run("denied", func(t *testing.T) {
		c := start(t, directives(early, useModel(waftest.Model(t, 50))))
		eachProtocol(t, func(t *testing.T, client *http.Client, _ string) {
			assert.Equal(t, http.StatusForbidden, ask(t, client, plainText(t, c.url+"/early", "event=pageview")).status)
			assertSays(t, c.said(t)["/early"], earlyBoth)
		})
	})
	t.Run("vetoed", func(t *testing.T) {
		c := start(t, directives(early, useModel(waftest.Model(t, 51))))
		eachProtocol(t, func(t *testing.T, client *http.Client, _ string) {
			a := ask(t, client, plainText(t, c.url+"/early", "event=pageview"))
			assert.Equal(t, http.StatusOK, a.status)
			assert.Equal(t, "event=pageview", a.body)
			assertSays(t, c.said(t)["/early"], earlyVeto, veto)
		})
	})
	// A veto in phase 1 was given without the body, so it must not save the body.
	t.Run("vetoed, then denied for the body", func(t *testing.T) {
		c := start(t, directives(early))
		eachProtocol(t, func(t *testing.T, client *http.Client, _ string) {
			assert.Equal(t, http.StatusForbidden, ask(t, client, plainText(t, c.url+"/early", "id="+injectionText)).status)
			assertSays(t, c.said(t)["/early"], earlyVeto, both)
		})
	})
}

// Many clients at once, over both protocols: every request gets the verdict that belongs to it.
func TestConcurrent(t *testing.T) {
	const requests = 1000
	// At a threshold of 99 the model flags everything, at 1 nothing: the path decides.
	c := start(t, directives(useModel(waftest.Model(t, 50)),
		`SecRule REQUEST_FILENAME "@beginsWith /strict/" "id:9529014,phase:1,pass,nolog,setvar:tx.ml-verdict-plugin_threshold=99"`,
		`SecRule REQUEST_FILENAME "@beginsWith /lenient/" "id:9529015,phase:1,pass,nolog,setvar:tx.ml-verdict-plugin_threshold=1"`))
	clients := []*http.Client{newClient(http1), newClient(http2)}
	kinds := []struct {
		path, query string
		status      int
		outcome     int
	}{
		{"/strict/", helloQuery, http.StatusOK, 0},
		{"/strict/", injectionQuery, http.StatusForbidden, both},
		{"/lenient/", injectionQuery, http.StatusOK, veto},
	}

	answers := make([]answer, requests)
	errs := make([]error, requests)
	done := make(chan struct{})
	for i := range requests {
		kind := kinds[i%len(kinds)]
		text := fmt.Sprintf("request %d", i)
		r := newRequest(t, http.MethodPost, fmt.Sprintf("%s%s%d%s", c.url, kind.path, i, kind.query), strings.NewReader("note="+text))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		go func() {
			answers[i], errs[i] = send(clients[i%len(clients)], r)
			done <- struct{}{}
		}()
	}
	for range requests {
		<-done
	}

	said := c.said(t)
	for i := range requests {
		kind := kinds[i%len(kinds)]
		require.NoError(t, errs[i])
		require.Equal(t, kind.status, answers[i].status, "request %d", i)
		if kind.status == http.StatusOK {
			require.Equal(t, fmt.Sprintf("note=request %d", i), answers[i].body)
		}
		assertSays(t, said[fmt.Sprintf("%s%d", kind.path, i)], kind.outcome)
	}
}
