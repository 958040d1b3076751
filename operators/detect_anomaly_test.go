// SPDX-License-Identifier: Apache-2.0

package operators_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental/plugins"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/request"
	"github.com/mlverdict/mlverdict/operators"
)

// bare builds a WAF of nothing but the given rules.
func bare(t *testing.T, directives string) coraza.WAF {
	t.Helper()
	w, err := coraza.NewWAF(coraza.NewWAFConfig().WithDirectives("SecRuleEngine On\nSecRequestBodyAccess On\n" + directives))
	require.NoError(t, err)
	return w
}

func TestSetsVariables(t *testing.T) {
	w := waftest.New(t)
	a := waftest.Ask(t, w, waftest.Injection())

	score, err := strconv.Atoi(a.TX["ml_score"])
	require.NoError(t, err)
	assert.GreaterOrEqual(t, score, model.MinScore)
	assert.LessOrEqual(t, score, 50)
	assert.Equal(t, "sqli", a.TX["ml_class"])
	assert.Equal(t, a.TX["ml_score"], a.TX["ml_score_sqli"])
	assert.NotEmpty(t, a.TX["ml_reason"])
	assert.Equal(t, model.Default().ID(), a.TX["ml_model"])
	assert.Empty(t, a.TX["ml_error"])
	for c := range evidence.Class(evidence.Classes) {
		assert.Regexp(t, "^[1-9][0-9]?$", a.TX["ml_score_"+c.String()], c)
	}
}

func TestCapture(t *testing.T) {
	path := waftest.Model(t, 20)
	w := bare(t, fmt.Sprintf(`
		SecRule REQUEST_URI "@detectAnomaly 50 model=%s" "id:1,phase:1,pass,nolog"
		SecRule REQUEST_URI "@detectAnomaly 50 model=%[1]s" "id:2,phase:1,pass,nolog,capture,setvar:tx.got=%%{tx.0}/%%{tx.1}"`, path))
	a := waftest.Ask(t, w, waftest.Hello())
	assert.Equal(t, "20/"+a.TX["ml_class"], a.TX["got"], "also from a verdict given before")
}

func TestCompares(t *testing.T) {
	tests := []struct {
		score     int
		threshold string
		want      bool
	}{
		{20, "19", false},
		{20, "20", true},
		{20, "21", true},
		{1, "1", true},
		{99, "99", true},
		{99, "98", false},
		{20, "%{tx.limit}", true},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d of %s", tt.score, tt.threshold), func(t *testing.T) {
			w := bare(t, fmt.Sprintf(`
				SecAction "id:1,phase:1,pass,nolog,setvar:tx.limit=20"
				SecRule REQUEST_URI "@detectAnomaly %s model=%s" "id:2,phase:1,deny"`, tt.threshold, waftest.Model(t, tt.score)))
			a := waftest.Ask(t, w, waftest.Hello())
			assert.Equal(t, tt.want, a.Rule == 2)
			assert.Equal(t, strconv.Itoa(tt.score), a.TX["ml_score"])
		})
	}
}

func TestThresholdAtRunTime(t *testing.T) {
	for _, value := range []string{"0", "100", "-5", "abc", "5.5", "1e1", "99999999999999999999"} {
		t.Run(value, func(t *testing.T) {
			w := bare(t, fmt.Sprintf(`
				SecAction "id:1,phase:1,pass,nolog,setvar:'tx.limit=%s'"
				SecRule REQUEST_URI "@detectAnomaly 99 model=%[2]s" "id:2,phase:1,pass,nolog"
				SecRule REQUEST_URI "@detectAnomaly %%{tx.limit} model=%[2]s" "id:3,phase:1,deny"`, value, waftest.Model(t, 20)))
			a := waftest.Ask(t, w, waftest.Hello())
			assert.Equal(t, http.StatusOK, a.Status)
			assert.Equal(t, "0", a.TX["ml_score"], "not scored, though a rule before had a score")
			assert.Empty(t, a.TX["ml_class"])
			assert.Contains(t, a.TX["ml_error"], "%{tx.limit} is ")
			assert.Contains(t, a.TX["ml_error"], "want a number from 1 to 99")
		})
	}
	t.Run("unset", func(t *testing.T) {
		w := bare(t, `SecRule REQUEST_URI "@detectAnomaly %{tx.limit}" "id:3,phase:1,deny"`)
		assert.Contains(t, waftest.Ask(t, w, waftest.Hello()).TX["ml_error"], `%{tx.limit} is "tx.limit"`)
	})
}

// stand replaces the operator, for the WAFs that the test builds, by one that asks j.
func stand(t *testing.T, j operators.Judge) {
	plugins.RegisterOperator("detectAnomaly", operators.Judging(j))
	t.Cleanup(func() { plugins.RegisterOperator("detectAnomaly", operators.New) })
}

// counter is a model that counts how often it is asked and scores by the number of values that it was shown.
type counter struct {
	id    string
	asked atomic.Int64
}

func (c *counter) ID() string { return c.id }

func (c *counter) Judge(v *request.View, out *model.Verdict) error {
	c.asked.Add(1)
	out.Score = len(v.Values)
	return nil
}

func TestJudgesOncePerPhase(t *testing.T) {
	c := &counter{id: "counter"}
	stand(t, c)
	w := bare(t, `
		SecAction "id:1,phase:1,pass,nolog,setvar:tx.any=thing"
		SecRule TX:any "@detectAnomaly 50" "id:2,phase:1,pass,nolog,setvar:tx.one=%{tx.ml_score}"
		SecRule TX:any "@detectAnomaly 10" "id:3,phase:1,pass,nolog"
		SecRule REQUEST_HEADERS "@detectAnomaly 10" "id:4,phase:1,pass,nolog"
		SecRule TX:any "@detectAnomaly 50" "id:5,phase:2,pass,nolog,setvar:tx.two=%{tx.ml_score}"
		SecRule ARGS "@detectAnomaly 10" "id:6,phase:2,pass,nolog"`)
	a := waftest.Ask(t, w, waftest.Post("/?q=hello", "more=text&and=more"))

	assert.EqualValues(t, 2, c.asked.Load())
	assert.NotEqual(t, a.TX["one"], a.TX["two"], "phase 2 sees the body")
}

func TestModelsDoNotShareVerdicts(t *testing.T) {
	w := bare(t, fmt.Sprintf(`
		SecRule REQUEST_URI "@detectAnomaly 99 model=%[1]s" "id:1,phase:1,pass,nolog,setvar:tx.first=%%{tx.ml_score}"
		SecRule REQUEST_URI "@detectAnomaly 99 model=%[2]s" "id:2,phase:1,pass,nolog,setvar:tx.second=%%{tx.ml_score}"
		SecRule REQUEST_URI "@detectAnomaly 99 model=%[1]s" "id:3,phase:1,pass,nolog,setvar:tx.third=%%{tx.ml_score}"`,
		waftest.Model(t, 20), waftest.Model(t, 30)))
	a := waftest.Ask(t, w, waftest.Hello())
	assert.Equal(t, []string{"20", "30", "20"}, []string{a.TX["first"], a.TX["second"], a.TX["third"]})
}

// broken is a model that cannot answer.
type broken func() error

func (broken) ID() string { return "broken" }

func (b broken) Judge(*request.View, *model.Verdict) error { return b() }

// Whatever happens to the model, CRS's verdict stands, in every mode, and the log says so.
func TestCRSDecidesAloneWithoutAnswer(t *testing.T) {
	const notScored, crsAlone = 9529216, 9529249
	const earlyNotScored, earlyCRSAlone = 9529136, 9529149
	models := map[string]broken{
		"the model panicked: runtime error": func() error { var v *request.View; v.Method = ""; return nil },
		"out of order":                      func() error { return errors.New("out of order") },
		"the model gave no score":           func() error { return nil },
	}
	for cause, m := range models {
		for _, mode := range []string{"second_verdict", "shadow", "detect", "ml_only"} {
			t.Run(cause+" "+mode, func(t *testing.T) {
				stand(t, m)
				w := waftest.New(t, func(c *waf.Config) { c.Mode = mode })

				a := waftest.Ask(t, w, waftest.Hello())
				assert.Equal(t, http.StatusOK, a.Status)
				if mode == "detect" || mode == "ml_only" { // the others do not ask
					assert.Equal(t, []int{notScored}, a.Says())
				}

				for _, r := range []*http.Request{waftest.Injection(), waftest.Beacon()} {
					a = waftest.Ask(t, w, r)
					assert.Equal(t, http.StatusForbidden, a.Status)
					assert.Equal(t, crsAlone, a.Rule)
					assert.Equal(t, []int{notScored, crsAlone}, a.Says())
					assert.Contains(t, a.Log[notScored], cause)
					assert.Contains(t, a.Log, 949110)
				}

				early := waftest.New(t, func(c *waf.Config) { c.Mode, c.EarlyBlocking = mode, true })
				r := waftest.Post("/collect", "id=1")
				r.Header.Set("Content-Type", "text/plain")
				a = waftest.Ask(t, early, r)
				assert.Equal(t, http.StatusForbidden, a.Status)
				assert.Equal(t, []int{earlyNotScored, earlyCRSAlone}, a.Says())
			})
		}
	}
}
