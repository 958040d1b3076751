// SPDX-License-Identifier: Apache-2.0

// Package docs_test runs the snippets of the documentation. Those of caddy.md run in e2e.
package docs_test

import (
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/corazawaf/coraza/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/snippets"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/plugin"
	"github.com/mlverdict/mlverdict/plugin/crs"
)

// setUp is a WAF that blocks, with directives before the plugin's and after them.
func setUp(t *testing.T, before, after string) coraza.WAF {
	t.Helper()
	w, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(crs.FS()).
		WithDirectives("SecAuditEngine Off\n" + before).
		WithDirectives(crs.Directives()).
		WithDirectives(after))
	require.NoError(t, err)
	return w
}

// lookFor returns the snippets of a file in one language that hold a text.
func lookFor(t *testing.T, file, language, text string) string {
	t.Helper()
	for _, s := range snippets.Read(t, file) {
		if s.Language == language && strings.Contains(s.Text, text) {
			return s.Text
		}
	}
	require.Fail(t, "no snippet", "%s: %s with %q", file, language, text)
	return ""
}

func TestOperatorSnippets(t *testing.T) {
	attackAt := func(target string) *http.Request { return waftest.Get(target + waftest.Injection().URL.String()[1:]) }
	model := "SecDataset ml-verdict-model `\n" + waftest.Model(t, 20) + "\n`\n"
	snippet := func(text string) string { return lookFor(t, "operator.md", "seclang", text) }
	tests := map[string]func(t *testing.T){
		"100001": func(t *testing.T) {
			w := setUp(t, model+`SecAction "id:1,phase:1,pass,nolog,setvar:tx.ml-verdict-plugin_threshold=1"`, snippet("100001"))
			assert.Equal(t, 100001, waftest.Ask(t, w, waftest.Get("/upload")).Rule)
			assert.Equal(t, http.StatusOK, waftest.Ask(t, w, waftest.Get("/download")).Status)
		},
		"100003": func(t *testing.T) {
			a := waftest.Ask(t, setUp(t, model, snippet("100003")), waftest.Hello())
			assert.Contains(t, a.Log[100003], "score 20, likeliest class ")
		},
		"100004": func(t *testing.T) {
			rule := strings.Replace(snippet("100004"), "/etc/mlverdict/new.model", waftest.Model(t, 7), 1)
			a := waftest.Ask(t, setUp(t, model, rule), waftest.Hello())
			assert.Regexp(t, `the new model [0-9a-f]{12} gives 7`, a.Log[100004])
		},
		"9529011": func(t *testing.T) {
			w := setUp(t, snippet("9529011"), "")
			assert.Equal(t, "shadow", waftest.Ask(t, w, attackAt("/cms/")).TX["ml_mode"])
			a := waftest.Ask(t, w, attackAt("/"))
			assert.Equal(t, "second_verdict", a.TX["ml_mode"])
			assert.Equal(t, "50", a.TX["ml-verdict-plugin_threshold"], "127.0.0.1 is not in 10.0.0.0/8")
		},
		"SecDataset": func(t *testing.T) {
			directives := strings.Replace(snippet("SecDataset"), "/etc/mlverdict/site.model", waftest.Model(t, 33), 1)
			assert.Equal(t, "33", waftest.Ask(t, setUp(t, directives, ""), waftest.Injection()).TX["ml_score"])
		},
		"repeats-before": func(t *testing.T) {
			w, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(crs.FS()).WithDirectives(
				"Include @coraza.conf-recommended\nSecRuleEngine On\nInclude @crs-setup.conf.example\n" +
					snippet("repeats-before") + "Include @owasp_crs/*.conf"))
			require.NoError(t, err)
			form := url.Values{"a": {"1"}, "b": {"2"}, "c": {"3"}, "q": {"hello", "<script>alert(document.cookie)</script>"}}.Encode()
			first := waftest.Ask(t, w, waftest.Post("/", form))
			assert.Equal(t, 949110, first.Rule)
			for range 20 {
				assert.Equal(t, first, waftest.Ask(t, w, waftest.Post("/", form)))
			}
		},
		"auditEngine": func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "audit.log")
			relevant := "SecAuditEngine RelevantOnly\nSecAuditLogRelevantStatus ^[45]\nSecAuditLogType Serial\nSecAuditLog " + log + "\n"
			vetoing := "SecDataset ml-verdict-model `\n" + waftest.Model(t, 51) + "\n`\n"

			waftest.Ask(t, setUp(t, vetoing, relevant), attackAt("/before/"))
			waftest.Ask(t, setUp(t, vetoing, relevant+snippet("auditEngine")), attackAt("/after/"))
			content, err := os.ReadFile(log)
			require.NoError(t, err)
			assert.NotContains(t, string(content), "/before/")
			assert.Contains(t, string(content), "/after/")
		},
	}
	for name, test := range tests {
		t.Run(name, test)
	}
	count := 0
	for _, s := range snippets.Read(t, "operator.md") {
		if s.Language == "seclang" {
			count++
		}
	}
	assert.Equal(t, len(tests), count, "every snippet has a test")
}

// operator.md names every TX variable of the plugin, with its default.
func TestOperatorVariables(t *testing.T) {
	text, err := os.ReadFile("operator.md")
	require.NoError(t, err)
	a := waftest.Ask(t, setUp(t, "", ""), waftest.Injection())
	for name, value := range a.TX {
		switch {
		case strings.HasPrefix(name, "ml-verdict-plugin_"):
			assert.Contains(t, string(text), "| `"+name+"` | `"+value+"` |")
		case strings.HasPrefix(name, "ml_"):
			assert.Contains(t, string(text), "`"+name+"`")
		}
	}
}

// operator.md has the message of every rule that logs.
func TestOperatorLogLines(t *testing.T) {
	text, err := os.ReadFile("operator.md")
	require.NoError(t, err)
	rules, err := fs.ReadFile(plugin.FS(), "@ml-verdict/ml-verdict-after.conf")
	require.NoError(t, err)
	messages := regexp.MustCompile(`"id:(\d+),(?:\\\n\s*[^\n]*?)*?msg:'([^']*)'`).FindAllStringSubmatch(string(rules), -1)
	require.Len(t, messages, 18)
	for _, m := range messages {
		id := m[1]
		message, _, _ := strings.Cut(m[2], " (CRS score")
		message = strings.Replace(message, " in phase 1", "", 1)
		row := regexp.MustCompile(`(?m)^\|.*\b` + id + `\b.*\| ` + regexp.QuoteMeta(message) + ` \|$`)
		assert.Regexp(t, row, string(text))
	}
}
