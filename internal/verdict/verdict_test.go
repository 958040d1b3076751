// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
)

const (
	normal    = "/?q=hello"
	injection = "/?id=1%27%20UNION%20SELECT%20password%20FROM%20users--"
)

// judge replays a request, and an empty answer with the status where it passes.
func judge(t *testing.T, c waf.Config, target string, status int) Verdict {
	t.Helper()
	w, err := waf.New(c)
	require.NoError(t, err)
	req, err := traffic.Build("", target, nil, nil)
	require.NoError(t, err)
	tx := w.NewTransaction()
	defer tx.Close()
	in, err := req.Replay(tx)
	require.NoError(t, err)
	if in == nil {
		tx.ProcessResponseHeaders(status, "HTTP/1.1")
		_, err = tx.ProcessResponseBody()
		require.NoError(t, err)
	}
	tx.ProcessLogging()
	return Of(tx)
}

func TestDecisions(t *testing.T) {
	attack, clean := waftest.Model(t, 3), waftest.Model(t, 90)
	with := func(mode, model string) waf.Config {
		return waf.Config{Paranoia: 2, Plugin: true, Mode: mode, ModelPath: model}
	}
	off := with("", attack)
	off.ExtraDirectives = `SecAction "id:9529010,phase:1,pass,nolog,setvar:tx.ml-verdict-plugin_enabled=0"`
	early := with("", attack)
	early.EarlyBlocking = true
	own := with("", attack)
	own.ExtraDirectives = `SecRule ARGS:q "@streq hello" "id:1,phase:2,deny,status:451"`

	for name, tc := range map[string]struct {
		config waf.Config
		target string
		status int // of the application
		want   Decision
		denial int
	}{
		"nothing found":                {with("second_verdict", attack), normal, 200, Pass, 0},
		"both flag it":                 {with("second_verdict", attack), injection, 200, Deny, 403},
		"both flag it in phase 1":      {early, injection, 200, Deny, 403},
		"the model clears it":          {with("second_verdict", clean), injection, 200, Veto, 0},
		"shadow, the model agrees":     {with("shadow", attack), injection, 200, Deny, 403},
		"shadow, the model would veto": {with("shadow", clean), injection, 200, CRSAlone, 403},
		"switched off":                 {off, injection, 200, CRSAlone, 403},
		"no plugin":                    {waf.Config{Paranoia: 2}, injection, 200, CRSAlone, 403},
		"the model alone":              {with("ml_only", attack), normal, 200, MLAlone, 403},
		"a rule of somebody's":         {own, normal, 200, Engine, 451},
		"the response":                 {with("second_verdict", clean), normal, 500, Outbound, 403},
	} {
		t.Run(name, func(t *testing.T) {
			v := judge(t, tc.config, tc.target, tc.status)
			assert.Equal(t, tc.want, v.Decision)
			assert.Equal(t, tc.denial, v.Status)
			assert.Equal(t, tc.denial != 0, v.Denied)
			assert.Equal(t, tc.denial != 0, v.Rule != 0)
			assert.NotEmpty(t, v.Transaction)
		})
	}
}

func TestDetails(t *testing.T) {
	model := waftest.Model(t, 3)
	v := judge(t, waf.Config{Paranoia: 1, Plugin: true, Mode: "detect", Threshold: 40, ModelPath: model}, injection, 200)
	assert.Equal(t, "detect", v.Mode)
	assert.Equal(t, CRS{Score: 20, Threshold: 5}, v.CRS)
	assert.Equal(t, 3, v.ML.Score)
	assert.Equal(t, 40, v.ML.Threshold)
	assert.Contains(t, v.ML.Classes, "sqli")
	assert.NotEmpty(t, v.ML.Class)
	assert.NotEmpty(t, v.ML.Reason)
	assert.NotEmpty(t, v.ML.Model)
	require.NotEmpty(t, v.Matches)
	assert.Equal(t, Match{
		Rule: 942100, Severity: "critical", Paranoia: 1,
		Message: "SQL Injection Attack Detected via libinjection",
		Data:    "Matched Data: sUEnk found within ARGS:id: 1' UNION SELECT password FROM users--",
	}, v.Matches[0])
	for i, m := range v.Matches[1:] {
		assert.Greater(t, m.Rule, v.Matches[i].Rule, "sorted, each once")
	}
}

func TestJSONOfNoMatches(t *testing.T) {
	v := judge(t, waf.Config{Paranoia: 1}, normal, 200)
	v.Transaction = "T"
	text, err := json.Marshal(v)
	require.NoError(t, err)
	assert.JSONEq(t, `{"transaction":"T","verdict":"pass","denied":false,"crs":{"score":0,"threshold":5},"ml":{"score":0,"threshold":0},"rules":[]}`, string(text))
}
