// SPDX-License-Identifier: Apache-2.0

package ftw

import (
	"testing"

	"github.com/coreruleset/go-ftw/v2/runner"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/plugin"
	"github.com/mlverdict/mlverdict/rules"
)

const (
	disabled      = `SecAction "id:9529901,phase:1,pass,nolog,setvar:tx.ml-verdict-plugin_enabled=0"` + "\n"
	earlyBlocking = `SecAction "id:9529902,phase:1,pass,nolog,setvar:tx.early_blocking=1"` + "\n"
	owasp         = "Include @owasp_crs/*.conf\n"
)

// With the plugin, in whatever mode, each of CRS's tests comes out as without it, and the same rules of CRS log.
func TestOutcomes(t *testing.T) {
	crs, err := CRS()
	require.NoError(t, err)

	plain := Run(t, Serve(t, Regression+owasp), crs)
	assert.Equal(t, 4674, plain.Run)
	assert.Equal(t, knownFailures, plain.Failed)
	assert.Len(t, plain.Ignored, 7)
	assert.Len(t, plain.Success, 4667-len(knownFailures))
	early := Run(t, Serve(t, Regression+earlyBlocking+owasp), crs)

	tests := []struct {
		name    string
		set     string
		options []plugin.Option
		want    *runner.RunStats
	}{
		{name: "second_verdict", want: plain},
		{name: "shadow", options: []plugin.Option{plugin.WithMode(plugin.Shadow)}, want: plain},
		{name: "detect", options: []plugin.Option{plugin.WithMode(plugin.Detect), plugin.WithDetectThreshold(50)}, want: plain},
		{name: "ml_only", options: []plugin.Option{plugin.WithMode(plugin.MLOnly)}, want: plain},
		{name: "disabled", set: disabled, want: plain},
		{name: "early blocking", set: earlyBlocking, want: early},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Run(t, Serve(t, Regression+tt.set+plugin.BeforeCRS(tt.options...)+owasp+plugin.AfterCRS()), crs)
			assert.Equal(t, tt.want.Success, got.Success)
			assert.Equal(t, tt.want.Failed, got.Failed)
			assert.Equal(t, tt.want.Ignored, got.Ignored)
			assert.Equal(t, tt.want.TriggeredRules, withoutPlugin(got.TriggeredRules))
			assert.NotEqual(t, tt.want.TriggeredRules, got.TriggeredRules, "else the plugin was not there")
		})
	}
}

// withoutPlugin takes the plugin's rules out of the rules that logged, by test and stage.
func withoutPlugin(triggered map[string][][]uint) map[string][][]uint {
	kept := map[string][][]uint{}
	for test, stages := range triggered {
		for _, ids := range stages {
			theirs := []uint{}
			for _, id := range ids {
				if !rules.Owns(int(id)) {
					theirs = append(theirs, id)
				}
			}
			kept[test] = append(kept[test], theirs)
		}
	}
	return kept
}
