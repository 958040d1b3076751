// SPDX-License-Identifier: Apache-2.0

package ftw

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/snippets"
	"github.com/mlverdict/mlverdict/plugin"
	"github.com/mlverdict/mlverdict/plugin/crs"
)

// The plugin's own tests, with the engine on, set up as the README says. They set the threshold to 99 or 1 and so want
// no special model.
func TestOwn(t *testing.T) {
	own, err := Own()
	require.NoError(t, err)
	setUp := snippets.Read(t, "README.md")[0]
	require.Equal(t, "seclang", setUp.Language)
	got := Run(t, Serve(t, setUp.Text+crs.Directives()), own)
	assert.Empty(t, got.Failed)
	assert.Len(t, got.Success, got.Run)
	assert.Greater(t, got.Run, 60)
}

// Every rule of the plugin has a file of tests, but for the two that check the order of the Includes at start-up and
// never match (rules/files_test.go tests them).
func TestOwnIsComplete(t *testing.T) {
	atStartUp := []string{"9529090", "9529110"}
	tested := map[string]bool{}
	own, err := Own()
	require.NoError(t, err)
	require.Len(t, own, 1)
	for _, file := range own[0].Files {
		tested[strings.TrimSuffix(file.FileName, ".yaml")] = true
	}
	ids := regexp.MustCompile(`(?m)^[^#\n]*\bid:(9529\d{3})`)
	for _, name := range []string{"config", "before", "after"} {
		text, err := fs.ReadFile(plugin.FS(), "@ml-verdict/ml-verdict-"+name+".conf")
		require.NoError(t, err)
		for _, id := range ids.FindAllStringSubmatch(string(text), -1) {
			assert.True(t, tested[id[1]] != slices.Contains(atStartUp, id[1]), "tests of rule %s", id[1])
			delete(tested, id[1])
		}
	}
	assert.Empty(t, tested, "tests of rules that do not exist")
}
