// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/corazawaf/coraza/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/plugin"
	"github.com/mlverdict/mlverdict/plugin/crs"
)

// An app that imports the plugin gets Coraza, what Coraza needs, and nothing else.
func TestDependsOnCorazaAlone(t *testing.T) {
	allowed := modules(t, "github.com/corazawaf/coraza/v3")
	allowed["github.com/mlverdict/mlverdict"] = true
	for module := range modules(t, "github.com/mlverdict/mlverdict/plugin") {
		assert.True(t, allowed[module], "%s comes with the plugin and not with Coraza", module)
	}
}

// modules lists the modules of a package and of all it imports.
func modules(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", pkg).Output()
	require.NoError(t, err)
	found := map[string]bool{}
	for module := range strings.FieldsSeq(string(out)) {
		found[module] = true
	}
	require.NotEmpty(t, found)
	return found
}

func TestBeforeCRS(t *testing.T) {
	const includes = "Include @ml-verdict/*-config.conf\nInclude @ml-verdict/*-before.conf\n"
	tests := []struct {
		name    string
		options []plugin.Option
		want    string
	}{
		{"defaults", nil, includes},
		{"last one wins", []plugin.Option{plugin.WithThreshold(20), plugin.WithThreshold(35)},
			`SecRule &TX:ml-verdict-plugin_threshold "@eq 0" "id:9529017,phase:1,pass,nolog,` +
				`setvar:'tx.ml-verdict-plugin_threshold=35'"` + "\n" + includes},
		{"model", []plugin.Option{plugin.WithModel("/etc/site.model")},
			"SecDataset ml-verdict-model `\n/etc/site.model\n`\n" + includes},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, plugin.BeforeCRS(tt.options...))
		})
	}
}

// The options reach the WAF.
func TestOptions(t *testing.T) {
	w, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(crs.FS()).WithDirectives(crs.Directives(
		plugin.WithMode(plugin.MLOnly), plugin.WithThreshold(35), plugin.WithDetectThreshold(3),
		plugin.WithModel(waftest.Model(t, 36)),
	)))
	require.NoError(t, err)
	a := waftest.Ask(t, w, waftest.Injection())
	assert.Equal(t, 200, a.Status)
	assert.Equal(t, "ml_only/over/clean", a.TX["ml_case"])
	assert.Equal(t, "3", a.TX["ml-verdict-plugin_detect_threshold"])
}

// Options are the default for all requests. A rule's setting for some of them holds, on whichever side it stands.
func TestRulesOverrideOptions(t *testing.T) {
	const route = `SecRule REQUEST_FILENAME "@streq /cms" "id:1,phase:1,pass,nolog,setvar:tx.ml-verdict-plugin_mode=shadow"`
	setup := "Include @coraza.conf-recommended\nSecRuleEngine On\nInclude @crs-setup.conf.example\n"
	options := plugin.BeforeCRS(plugin.WithMode(plugin.Detect))
	for _, directives := range []string{route + "\n" + options, options + route + "\n"} {
		w, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(crs.FS()).
			WithDirectives(setup + directives + "Include @owasp_crs/*.conf\n" + plugin.AfterCRS()))
		require.NoError(t, err)
		assert.Equal(t, "shadow", waftest.Ask(t, w, waftest.Get("/cms?q=hello")).TX["ml_mode"])
		assert.Equal(t, "detect", waftest.Ask(t, w, waftest.Hello()).TX["ml_mode"])
	}
}

func TestModes(t *testing.T) {
	assert.True(t, slices.Contains(plugin.Modes(), plugin.SecondVerdict))
	for _, mode := range plugin.Modes() {
		w, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(crs.FS()).WithDirectives(crs.Directives(plugin.WithMode(mode))))
		require.NoError(t, err)
		assert.Equal(t, string(mode), waftest.Ask(t, w, waftest.Hello()).TX["ml_mode"], "the rules know every mode")
	}
}
