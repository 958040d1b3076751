// SPDX-License-Identifier: Apache-2.0

package crs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/plugin/crs"
)

func TestFSHoldsRulesAndDisk(t *testing.T) {
	local := filepath.Join(t.TempDir(), "local.conf")
	require.NoError(t, os.WriteFile(local, []byte("SecRuleEngine On"), 0o600))
	for _, file := range []string{
		"@coraza.conf-recommended", "@crs-setup.conf.example", "@owasp_crs/REQUEST-949-BLOCKING-EVALUATION.conf",
		"@ml-verdict/ml-verdict-after.conf", "/etc/caddy/@ml-verdict/ml-verdict-after.conf", local,
	} {
		content, err := fs.ReadFile(crs.FS(), file)
		require.NoError(t, err, file)
		assert.NotEmpty(t, content, file)
	}
	_, err := fs.ReadFile(crs.FS(), filepath.Join(t.TempDir(), "missing.conf"))
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

// The import alone makes the rules loadable where coreruleset.FS is all that there is, as in coraza-caddy, and from
// a configuration file anywhere on the disk.
func TestImportFillsCorerulesetFS(t *testing.T) {
	w, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(coreruleset.FS).WithDirectives(crs.Directives()))
	require.NoError(t, err)
	assert.Equal(t, 403, waftest.Ask(t, w, waftest.Injection()).Status)

	config := filepath.Join(t.TempDir(), "waf.conf")
	require.NoError(t, os.WriteFile(config, []byte(crs.Directives()), 0o600))
	w, err = coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(crs.FS()).WithDirectivesFromFile(config))
	require.NoError(t, err)
	assert.Equal(t, 403, waftest.Ask(t, w, waftest.Injection()).Status)
}

// What goes before the directives sets CRS up, what goes after them overrides Coraza's configuration.
func TestDirectivesMayBeSurrounded(t *testing.T) {
	w, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(crs.FS()).
		WithDirectives(`SecAction "id:1,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level=3"`).
		WithDirectives(crs.Directives()).
		WithDirectives("SecRuleEngine DetectionOnly"))
	require.NoError(t, err)
	a := waftest.Ask(t, w, waftest.Injection())
	assert.Equal(t, 200, a.Status)
	assert.Equal(t, "3", a.TX["blocking_paranoia_level"])
	assert.NotEmpty(t, a.Says())
}
