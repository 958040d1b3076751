// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/snippets"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/plugin/crs"
)

// The week of tuning.md: every snippet, in order, on one site.
func TestTuning(t *testing.T) {
	site := newSite(t)
	runs := []func(t *testing.T, snippet string){
		func(t *testing.T, directives string) { // shadow mode, with a model that vetoes and with one that does not
			for _, score := range []int{51, 90, 50} {
				site.set(t, score, directives)
				for _, path := range []string{"/news/1", "/news/1", "/shop"} {
					assert.Equal(t, http.StatusForbidden, site.ask(t, path))
				}
			}
		},
		func(t *testing.T, script string) {
			assert.Equal(t, "3\n6\n0\nall were scored\n", site.sh(t, script))
		},
		func(t *testing.T, script string) {
			assert.Equal(t, "4 uri /news/1\n2 uri /shop\n", trim(site.sh(t, script)))
		},
		func(t *testing.T, script string) {
			assert.Equal(t, "3 ML score 50\n3 ML score 51\n3 ML score 90\n", trim(site.sh(t, script)))
		},
		func(t *testing.T, script string) {
			assert.Regexp(t, `(?m)^verdict +veto$`, site.sh(t, script))
		},
		func(t *testing.T, script string) {
			assert.Contains(t, site.sh(t, script), "threshold")
		},
		func(t *testing.T, directives string) {
			site.set(t, 51, directives)
			assert.Equal(t, http.StatusOK, site.ask(t, "/news/1"))
			assert.Equal(t, http.StatusForbidden, site.ask(t, "/shop"))
		},
		func(t *testing.T, script string) {
			assert.Equal(t, "1\n", site.sh(t, script))
		},
		func(t *testing.T, directives string) {
			site.set(t, 51, directives)
			assert.Equal(t, http.StatusOK, site.ask(t, "/shop"))
			assert.Equal(t, http.StatusForbidden, site.ask(t, "/login"))
		},
		func(t *testing.T, script string) {
			assert.Regexp(t, `^site\.model: model .* adapted to 1 requests \(9 repeats left out\)`, site.sh(t, script))
		},
		func(t *testing.T, script string) {
			before, err := os.ReadFile(filepath.Join(site.dir, "site.model"))
			require.NoError(t, err)
			assert.Contains(t, site.sh(t, script), "host1.summary: 1 requests")
			after, err := os.ReadFile(filepath.Join(site.dir, "site.model"))
			require.NoError(t, err)
			assert.Equal(t, before, after, "a summary gives the same model")
		},
		func(t *testing.T, directives string) {
			site.set(t, 51, directives)
			assert.Equal(t, http.StatusForbidden, site.ask(t, "/shop"))
		},
		func(t *testing.T, directives string) {
			site.set(t, 51, directives)
			assert.Equal(t, http.StatusForbidden, site.ask(t, "/shop"))
		},
	}
	all := snippets.Read(t, "tuning.md")
	require.Len(t, all, len(runs), "every snippet has a test")
	for i, snippet := range all {
		t.Run(snippet.Heading, func(t *testing.T) { runs[i](t, snippet.Text) })
	}
}

// The commands work on Caddy's log, where Coraza's lines stand in JSON.
func TestTuningOnCaddysLog(t *testing.T) {
	site := newSite(t)
	site.set(t, 51, lookFor(t, "tuning.md", "seclang", "=shadow"))
	site.ask(t, "/news/1")
	site.rewrite(t, func(line string) string {
		entry, err := json.Marshal(map[string]string{"logger": "http.handlers.waf", "msg": line})
		require.NoError(t, err)
		return string(entry)
	})
	assert.Equal(t, "1 uri /news/1\n", trim(site.sh(t, lookFor(t, "tuning.md", "sh", "uniq -c | sort -rn"))))
	assert.Equal(t, "1 ML score 51\n", trim(site.sh(t, lookFor(t, "tuning.md", "sh", "sort -n"))))
}

// site is a folder with an error.log, request files and the command mlverdict, and a WAF that logs there.
type site struct {
	dir string
	waf coraza.WAF
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{dir: t.TempDir()}
	out, err := exec.Command("go", "build", "-o", filepath.Join(s.dir, "bin", "mlverdict"), "../cmd/mlverdict").CombinedOutput()
	require.NoError(t, err, string(out))
	const headers = `"headers":[["Host","shop.example"],["User-Agent","Mozilla/5.0"],["Accept","*/*"]]`
	normal := `{"set":"shop","label":"benign","method":"GET","uri":"/search?q=shoes",` + headers + "}\n"
	attack := `{"set":"shop","label":"attack","class":"sqli","method":"GET","uri":"/` + waftest.Injection().URL.String()[1:] + `",` + headers + "}\n"
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "normal.jsonl"), []byte(strings.Repeat(normal, 10)), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "attacks.jsonl"), []byte(attack), 0o600))
	return s
}

// set starts the WAF anew, with directives before the plugin's and a model that gives every request the same score.
func (s *site) set(t *testing.T, score int, directives string) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "error.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { log.Close() })
	s.waf, err = coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(crs.FS()).
		WithDirectives("SecDataset ml-verdict-model `\n" + waftest.Model(t, score) + "\n`\n" + directives).
		WithDirectives(crs.Directives()).
		WithDirectives("SecAuditEngine Off").
		WithErrorCallback(func(rule types.MatchedRule) { log.WriteString(rule.ErrorLog() + "\n") }))
	require.NoError(t, err)
}

// ask sends a SQL injection to a path and returns the status.
func (s *site) ask(t *testing.T, path string) int {
	t.Helper()
	return waftest.Ask(t, s.waf, waftest.Get(path+waftest.Injection().URL.String()[1:])).Status
}

// sh runs a script in the site's folder and returns its output.
func (s *site) sh(t *testing.T, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(s.dir, "bin")+":"+os.Getenv("PATH"), "XDG_CACHE_HOME="+s.dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	return string(out)
}

// rewrite changes every line of error.log.
func (s *site) rewrite(t *testing.T, change func(line string) string) {
	t.Helper()
	path := filepath.Join(s.dir, "error.log")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	var b strings.Builder
	for line := range strings.Lines(string(content)) {
		b.WriteString(change(strings.TrimSuffix(line, "\n")) + "\n")
	}
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o600))
}

// trim takes away what uniq -c puts before its counts and the quotes and backslashes that logs put around words.
func trim(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.NewReplacer(`"`, "", `\`, "").Replace(strings.TrimLeft(line, " ")))
	}
	return b.String()
}
