// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/plugin"
)

// TestReadmeCurlLines sends what the README's curl lines send; the comment above each ends in the status to expect.
func TestReadmeCurlLines(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	lines := regexp.MustCompile(`(?m)^# .*: (\d{3})\ncurl (.*)$`).FindAllSubmatch(readme, -1)
	require.Len(t, lines, 3)
	w := waftest.New(t)
	var decided []string
	for _, line := range lines {
		target := regexp.MustCompile(`localhost:8080(/[^' ]*)`).FindSubmatch(line[2])
		require.NotNil(t, target, "%s", line[2])
		uri := string(target[1])
		if data := regexp.MustCompile(`--data-urlencode "(\w+)=(.*)"`).FindSubmatch(line[2]); data != nil {
			uri += "?" + string(data[1]) + "=" + url.QueryEscape(string(data[2]))
		}
		r := waftest.Get(uri)
		r.Host = "localhost:8080"
		r.Header = http.Header{"User-Agent": {"curl/8.5.0"}, "Accept": {"*/*"}}
		a := waftest.Ask(t, w, r)
		assert.Equal(t, string(line[1]), strconv.Itoa(a.Status), "%s", line[2])
		for _, id := range a.Says() {
			decided = append(decided, strconv.Itoa(id))
		}
	}
	assert.Equal(t, []string{"9529241", "9529242"}, decided, "one denied by both, one vetoed")
}

// Links within the repository lead somewhere.
func TestLinks(t *testing.T) {
	files, err := filepath.Glob("*.md")
	require.NoError(t, err)
	more, err := filepath.Glob("adr/*.md")
	require.NoError(t, err)
	top, err := filepath.Glob("../*.md")
	require.NoError(t, err)
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for _, file := range append(append(files, more...), top...) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range link.FindAllSubmatch(text, -1) {
			_, err := os.Stat(filepath.Join(filepath.Dir(file), string(m[1])))
			assert.NoError(t, err, "%s links to %s", file, m[1])
		}
	}
}

// The modes that the README lists are those that there are.
func TestReadmeModes(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	for _, mode := range plugin.Modes() {
		assert.Contains(t, string(readme), "\n| `"+string(mode)+"`", mode)
	}
	assert.Equal(t, 1, strings.Count(string(readme), "<!-- figures: begin"))
}

// A test that SECURITY.md or a decision names exists, in the package that it names.
func TestNamedTestsExist(t *testing.T) {
	var code strings.Builder
	require.NoError(t, filepath.WalkDir("..", func(path string, _ os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			code.Write(text)
		}
		return err
	}))
	adrs, err := filepath.Glob("adr/*.md")
	require.NoError(t, err)
	name := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`)
	named := regexp.MustCompile("`([a-z0-9/]+)`: ((?:Test|Fuzz)[A-Z]\\w+(?:, (?:Test|Fuzz)[A-Z]\\w+)*)") // `package`: TestA, TestB
	for _, file := range append(adrs, "../SECURITY.md", "architecture.md", "performance.md") {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, test := range name.FindAllString(string(text), -1) {
			assert.Contains(t, code.String(), "func "+test+"(", "%s claims it", file)
		}
		for _, m := range named.FindAllSubmatch(text, -1) {
			tests, err := filepath.Glob("../" + string(m[1]) + "/*_test.go")
			require.NoError(t, err)
			var own strings.Builder
			for _, path := range tests {
				text, err := os.ReadFile(path)
				require.NoError(t, err)
				own.Write(text)
			}
			for _, test := range name.FindAllString(string(m[2]), -1) {
				assert.Contains(t, own.String(), "func "+test+"(", "%s says that it is in %s", file, m[1])
			}
		}
	}
}
