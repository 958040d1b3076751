// SPDX-License-Identifier: Apache-2.0

package rules_test

import (
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/corazawaf/coraza/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/plugin/crs"
	"github.com/mlverdict/mlverdict/rules"
)

var pluginFiles = []string{
	"@ml-verdict/ml-verdict-after.conf", "@ml-verdict/ml-verdict-before.conf", "@ml-verdict/ml-verdict-config.conf",
	"@ml-verdict/ml-verdict-repeats-before.conf",
}

func TestFS(t *testing.T) {
	for _, file := range append([]string{"@ml-verdict/argument-limit.conf"}, pluginFiles...) {
		want, err := fs.ReadFile(rules.FS(), file)
		require.NoError(t, err)
		require.NotEmpty(t, want)
		for _, prefix := range []string{"/etc/caddy/", "../conf/", "./", "/srv/me@example/@owasp_crs/"} {
			got, err := fs.ReadFile(rules.FS(), prefix+file)
			require.NoError(t, err, prefix)
			assert.Equal(t, want, got)
		}
		opened, err := rules.FS().Open("/etc/" + file)
		require.NoError(t, err)
		require.NoError(t, opened.Close())
	}

	found, err := fs.Glob(rules.FS(), "@ml-verdict/ml-verdict-*.conf")
	require.NoError(t, err)
	assert.Equal(t, pluginFiles, found)
	entries, err := fs.ReadDir(rules.FS(), "@ml-verdict")
	require.NoError(t, err)
	assert.Len(t, entries, len(pluginFiles)+1)

	for _, missing := range []string{"@ml-verdict/other.conf", "/etc/passwd", "rules.go", "my@ml-verdict/ml-verdict-config.conf"} {
		_, err := fs.ReadFile(rules.FS(), missing)
		assert.Error(t, err, missing)
	}
}

// Any other order of the Includes than the one in ml-verdict-config.conf must not start.
func TestIncludeOrder(t *testing.T) {
	const (
		setup  = "Include @coraza.conf-recommended\nInclude @crs-setup.conf.example\n"
		config = "Include @ml-verdict/*-config.conf\n"
		before = "Include @ml-verdict/*-before.conf\n"
		owasp  = "Include @owasp_crs/*.conf\n"
		after  = "Include @ml-verdict/*-after.conf\n"
		all    = "Include @ml-verdict/ml-verdict-*.conf\n"
	)
	tests := []struct {
		name       string
		directives string
		want       string // in the error; "" = starts
	}{
		{"right", setup + config + before + owasp + after, ""},
		{"after before CRS", setup + config + before + after + owasp, `rule "949110" not found`},
		{"no CRS", setup + config + before + after, `rule "949110" not found`},
		{"all before CRS", setup + all + owasp, `"ml-verdict-before.conf" not found`},
		{"all after CRS", setup + owasp + all, `"ml-verdict-before.conf" not found`},
		{"after alone", setup + owasp + after, `"ml-verdict-before.conf" not found`},
		{"no before", setup + config + owasp + after, `"ml-verdict-before.conf" not found`},
		{"no config", setup + before + owasp + after, `"ml-verdict-config.conf" not found`},
		{"before before config", setup + before + config + owasp + after, `"ml-verdict-config.conf" not found`},
		{"config and before after CRS", setup + owasp + config + before + after, "duplicated rule id 949110"},
		{"before after CRS", setup + config + owasp + before + after, "duplicated rule id 949110"},
		{"after twice", setup + config + before + owasp + after + after, "duplicated rule id 9529110"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(crs.FS()).WithDirectives(tt.directives))
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.want)
		})
	}
}

// What every rule has to have, and what platform.md's traps forbid.
func TestConventions(t *testing.T) {
	directive := regexp.MustCompile(`(?m)^(?:SecRule|SecAction)\b(?:.*\\\n)*.*`)
	idOf := regexp.MustCompile(`\bid:(\d+)`)
	seen := map[int]bool{}
	for _, file := range pluginFiles {
		text, err := fs.ReadFile(rules.FS(), file)
		require.NoError(t, err)
		assert.Contains(t, string(text), "# Rule ID block base: 9,529,000 - 9,529,999", file)
		assert.Contains(t, string(text), "# Plugin version: 0.1.0", file)
		for _, rule := range directive.FindAllString(string(text), -1) {
			id, err := strconv.Atoi(idOf.FindStringSubmatch(rule)[1])
			require.NoError(t, err)
			if id == 949110 {
				continue // the stand-in that finds out whether CRS was included before
			}
			assert.True(t, rules.Owns(id), id)
			assert.False(t, seen[id], id)
			seen[id] = true
			assert.Contains(t, rule, "ver:'ml-verdict-plugin/0.1.0'", id)
			assert.Contains(t, rule, "tag:'ml-verdict-plugin'", id)
			assert.NotContains(t, rule, "chain", id)
			assert.False(t, strings.Contains(rule, "deny") && strings.Contains(rule, "skipAfter"), id)
			if file == "@ml-verdict/ml-verdict-after.conf" {
				assert.Contains(t, rule, "tag:'OWASP_CRS'", id)
			}
		}
	}
	assert.Greater(t, len(seen), 40)
}
