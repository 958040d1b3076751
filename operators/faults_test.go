// SPDX-License-Identifier: Apache-2.0

package operators_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/corazawaf/coraza/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/waf/waftest"
)

// A WAF keeps the model that it was built with, whatever becomes of the file; the next WAF reads what is there then.
func TestModelFileChangesWhileServing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "site.model")
	first, err := os.ReadFile(waftest.Model(t, 20))
	require.NoError(t, err)
	second, err := os.ReadFile(waftest.Model(t, 30))
	require.NoError(t, err)
	directives := fmt.Sprintf(`SecRule REQUEST_URI "@detectAnomaly 99 model=%s" "id:1,phase:1,pass,nolog"`, path)
	require.NoError(t, os.WriteFile(path, first, 0o600))
	w := bare(t, directives)

	for _, tt := range []struct {
		name   string
		change func() error
		want   string // score of a WAF that is built afterwards; "" = none can be
	}{
		{"replaced", func() error { return os.WriteFile(path, second, 0o600) }, "30"},
		{"truncated", func() error { return os.Truncate(path, int64(len(second)/2)) }, ""},
		{"emptied", func() error { return os.Truncate(path, 0) }, ""},
		{"not to be read", func() error { return os.Chmod(path, 0) }, ""},
		{"deleted", func() error { return os.Remove(path) }, ""},
		{"a folder", func() error { return os.Mkdir(path, 0o700) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, tt.change())
			assert.Equal(t, "20", waftest.Ask(t, w, waftest.Hello()).TX["ml_score"], "the model in memory")
			next, err := coraza.NewWAF(coraza.NewWAFConfig().WithDirectives("SecRuleEngine On\n" + directives))
			if tt.want == "" {
				assert.ErrorContains(t, err, "model="+path)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.want, waftest.Ask(t, next, waftest.Hello()).TX["ml_score"])
		})
	}
}
