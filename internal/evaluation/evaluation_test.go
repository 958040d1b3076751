// SPDX-License-Identifier: Apache-2.0

package evaluation_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/corazawaf/coraza/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/evaluation"
	"github.com/mlverdict/mlverdict/internal/synthetic"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
)

// get is a request as a tool sends it.
func get(target string) *traffic.Request {
	return &traffic.Request{Set: "s", Label: traffic.Benign, Method: "GET", URI: target,
		Headers: [][2]string{{"Host", "shop.example"}, {"User-Agent", "test"}, {"Accept", "*/*"}}}
}

var (
	hello     = get("/?q=hello")
	injection = get("/?id=1%27%20UNION%20SELECT%20password%20FROM%20users--")
	broken    = func() *traffic.Request { // Coraza refuses it: rule 200002
		r := get("/")
		r.Method, r.Body = "POST", []byte(`{"`)
		r.Headers = append(r.Headers, [2]string{"Content-Type", "application/json"}, [2]string{"Content-Length", "2"})
		return r
	}()
	tooLarge = func() *traffic.Request { // Coraza refuses it without a rule: its limit of bytes
		r := *broken
		r.Body = bytes.Repeat([]byte("a"), 14<<20)
		return &r
	}()
)

// TestReplayInEachMode holds what is counted against the table of modes, with models that give every request one score.
func TestReplayInEachMode(t *testing.T) {
	const suspicious, trusting = 1, 90
	const crsScore = 20
	tests := []struct {
		mode      string
		score     int
		hello     bool // denied
		injection bool
	}{
		{"second_verdict", suspicious, false, true},
		{"second_verdict", trusting, false, false},
		{"shadow", suspicious, false, true},
		{"shadow", trusting, false, true},
		{"detect", suspicious, true, true},
		{"detect", trusting, false, false},
		{"ml_only", suspicious, true, true},
		{"ml_only", trusting, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.mode+" "+map[int]string{suspicious: "suspicious", trusting: "trusting"}[tt.score], func(t *testing.T) {
			w := waftest.New(t, func(c *waf.Config) { c.Mode, c.ModelPath = tt.mode, waftest.Model(t, tt.score) })
			got, err := evaluation.Replay(w, hello)
			require.NoError(t, err)
			assert.Equal(t, evaluation.Outcome{Denied: tt.hello}, got)

			got, err = evaluation.Replay(w, injection)
			require.NoError(t, err)
			assert.Equal(t, evaluation.Outcome{CRSScore: crsScore, CRSDenied: true, Denied: tt.injection}, got)

			for _, refused := range []*traffic.Request{broken, tooLarge} {
				got, err = evaluation.Replay(w, refused)
				require.NoError(t, err)
				assert.Equal(t, evaluation.Outcome{Refused: true}, got, "neither CRS's nor the model's")
			}
		})
	}
}

// A WAF without the plugin is what CRS alone denies.
func TestReplayWithoutPlugin(t *testing.T) {
	w, err := waf.New(waf.Config{Paranoia: 1})
	require.NoError(t, err)
	got, err := evaluation.Replay(w, injection)
	require.NoError(t, err)
	assert.Equal(t, evaluation.Outcome{CRSScore: 20, CRSDenied: true, Denied: true}, got)
}

func TestReplayWithoutCRSIsAnError(t *testing.T) {
	w, err := coraza.NewWAF(coraza.NewWAFConfig().WithDirectives("SecRuleEngine On"))
	require.NoError(t, err)
	_, err = evaluation.Replay(w, hello)
	assert.ErrorContains(t, err, "no CRS")
}

func TestRunCounts(t *testing.T) {
	w := waftest.New(t, func(c *waf.Config) { c.ModelPath = waftest.Model(t, 90) })
	attack := *injection
	attack.Label, attack.Class = traffic.Attack, "sqli"
	other := *injection
	other.Set = "t"
	payload := &traffic.Request{Label: traffic.Attack, Payload: "1' or '1'='1"}
	rows := []*traffic.Request{&other, hello, &attack, broken, payload, injection, &attack}

	for _, workers := range []int{0, 1, 3} {
		var failed []*traffic.Request
		seen := 0
		tally, err := evaluation.Run(t.Context(), w, slices.Values(rows), workers,
			func(row *traffic.Request, err error) {
				assert.Error(t, err)
				failed = append(failed, row)
			}, func(*traffic.Request, evaluation.Outcome) { seen++ })
		require.NoError(t, err)
		assert.Equal(t, []*traffic.Request{payload}, failed, "a row without a request is counted nowhere")
		assert.Equal(t, len(rows)-len(failed), seen)
		assert.Equal(t, []evaluation.Group{
			{Set: "s", Label: traffic.Attack, Class: "sqli", Requests: 2, CRSDenied: 2},
			{Set: "s", Label: traffic.Benign, Requests: 3, EngineDenied: 1, CRSDenied: 1},
			{Set: "t", Label: traffic.Benign, Requests: 1, CRSDenied: 1},
		}, tally.Groups())
		assert.Equal(t, evaluation.Totals{
			Benign: evaluation.Count{Requests: 3, CRSDenied: 1},
			Attack: evaluation.Count{Requests: 2, CRSDenied: 2},
		}, tally.Totals([]string{"t"}), "excluded benign rows stay out, attacks of the set would not")
	}
	assert.Empty(t, evaluation.NewTally().Groups())
	assert.NotNil(t, evaluation.NewTally().Groups(), "JSON wants a list, not null")
}

func TestRunStopsWhenCancelled(t *testing.T) {
	w := waftest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := 0
	_, err := evaluation.Run(ctx, w, synthetic.Attacks(1_000_000, 1), 2,
		func(*traffic.Request, error) {}, func(*traffic.Request, evaluation.Outcome) {
			if seen++; seen == 3 {
				cancel()
			}
		})
	assert.True(t, errors.Is(err, context.Canceled))
}
