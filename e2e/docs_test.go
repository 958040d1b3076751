// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/snippets"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/plugin"
)

// Every snippet of docs/caddy.md, by its heading.
func TestCaddyDocs(t *testing.T) {
	checks := map[string]func(*testing.T, *caddy){
		"Start": func(t *testing.T, c *caddy) {
			assert.Equal(t, http.StatusForbidden, get(t, c, "/"+injectionQuery).status)
			requireLog(t, c, `[id \"9529241\"]`)
		},
		"Shadow mode": func(t *testing.T, c *caddy) {
			assert.Equal(t, http.StatusForbidden, get(t, c, "/"+injectionQuery).status)
			requireLog(t, c, "in shadow mode: second_verdict would have denied")
		},
		"Threshold and mode for each route": func(t *testing.T, c *caddy) {
			for path, text := range map[string]string{
				"/cms/edit": "threshold 70,", "/login": "crs_alone/over/nothing", "/api/list": "in shadow mode", "/": "threshold 50,",
			} {
				get(t, c, path+injectionQuery)
				requireLog(t, c, `[uri \"`+path+`?`, text)
			}
		},
		"A model of your own": func(t *testing.T, c *caddy) {
			assert.Equal(t, http.StatusOK, get(t, c, "/"+injectionQuery).status, "the test's model vetoes everything")
			install(t, waftest.Model(t, 50), filepath.Join(c.dir, "site.model.new"))
			runShell(t, c, "A model of your own")
			assert.Equal(t, http.StatusForbidden, get(t, c, "/"+injectionQuery).status, "the new one nothing")
		},
		"Rules from disk": func(t *testing.T, c *caddy) {
			assert.Equal(t, http.StatusForbidden, get(t, c, "/"+injectionQuery).status)
			requireLog(t, c, `[file \"`+c.dir+`/ml-verdict/ml-verdict-after.conf\"]`)
		},
		"A page for those who are denied": func(t *testing.T, c *caddy) {
			a := get(t, c, "/"+injectionQuery)
			assert.Equal(t, http.StatusForbidden, a.status)
			number := regexp.MustCompile(`this number: (\w{16})$`).FindStringSubmatch(a.body)
			require.NotNil(t, number, a.body)
			requireLog(t, c, `[unique_id \"`+number[1]+`\"]`)
		},
		"The log": func(t *testing.T, c *caddy) {
			get(t, c, "/"+injectionQuery)
			requireLog(t, c, `[id \"949110\"]`)
			requireLog(t, c, `[id \"9529241\"]`)
			requireLog(t, c, `[id \"980170\"]`)
		},
	}
	for _, snippet := range snippets.Read(t, "../docs/caddy.md") {
		if snippet.Language != "caddyfile" {
			continue
		}
		t.Run(snippet.Heading, func(t *testing.T) {
			check := checks[snippet.Heading]
			require.NotNil(t, check, "no test of this snippet")
			delete(checks, snippet.Heading)
			c := startSnippet(t, snippet.Text)
			assert.Equal(t, http.StatusOK, get(t, c, "/"+helloQuery).status)
			check(t, c)
		})
	}
	assert.Empty(t, checks, "tests of snippets that are gone")
}

// The command that builds Caddy names the packages that the Caddy of these tests is made of.
func TestXcaddy(t *testing.T) {
	main, err := os.ReadFile("cmd/caddy/main.go")
	require.NoError(t, err)
	command := snippets.Read(t, "../docs/caddy.md")[0]
	require.Equal(t, "Build", command.Heading)
	var built []string
	for _, with := range regexp.MustCompile(`--with (\S+)`).FindAllStringSubmatch(command.Text, -1) {
		built = append(built, with[1])
	}
	var imported []string
	for _, blank := range regexp.MustCompile(`(?m)^\t_ "([^"]+)"`).FindAllStringSubmatch(string(main), -1) {
		if blank[1] != "github.com/caddyserver/caddy/v2/modules/standard" { // in every Caddy
			imported = append(imported, blank[1])
		}
	}
	assert.Equal(t, built, imported)
}

// here puts the test's addresses and files in the place of those in a snippet.
func (c *caddy) here(t *testing.T, text string) string {
	t.Helper()
	return strings.NewReplacer(
		":8080", strings.TrimPrefix(c.url, "http://localhost"),
		"localhost:3000", backend(t),
		"/etc/mlverdict", c.dir,
		"/etc/caddy", c.dir,
	).Replace(text)
}

// startSnippet runs a Caddyfile with the plugin's files and a model at the places it may name.
func startSnippet(t *testing.T, text string) *caddy {
	t.Helper()
	c := prepare(t)
	c.url = "http://localhost:" + freePort(t)
	install(t, waftest.Model(t, 51), filepath.Join(c.dir, "site.model"))
	files, err := fs.Sub(plugin.FS(), "@ml-verdict")
	require.NoError(t, err)
	require.NoError(t, os.CopyFS(filepath.Join(c.dir, "ml-verdict"), files))
	text = strings.Replace(c.here(t, text), "{\n", "{\n\tadmin unix/"+c.dir+"/admin.sock\n", 1)
	require.NoError(t, os.WriteFile(c.config, []byte(text), 0o600))
	c.run(t)
	return c
}

// requireLog waits until Caddy has written a line that holds all texts: its output comes through a pipe.
func requireLog(t *testing.T, c *caddy, texts ...string) {
	t.Helper()
	require.Eventually(t, func() bool {
		for line := range strings.Lines(c.stderr.String()) {
			if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
				return true
			}
		}
		return false
	}, patience, tick, "%q", texts)
}

func get(t *testing.T, c *caddy, target string) answer {
	t.Helper()
	client := newClient(http1)
	defer client.CloseIdleConnections()
	return ask(t, client, newRequest(t, http.MethodGet, c.url+target, nil))
}

// runShell runs the commands under a heading of docs/caddy.md.
func runShell(t *testing.T, c *caddy, heading string) {
	t.Helper()
	for _, snippet := range snippets.Read(t, "../docs/caddy.md") {
		if snippet.Heading == heading && snippet.Language == "sh" {
			cmd := exec.Command("sh", "-e", "-c", c.here(t, snippet.Text))
			cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
		}
	}
}
