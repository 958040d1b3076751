// SPDX-License-Identifier: Apache-2.0

// Package snippets reads the code out of the documentation, for the tests that run it.
package snippets

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Snippet is a fenced block of code.
type Snippet struct {
	Heading  string // the nearest one above
	Language string // what stands behind the fence, such as seclang
	Text     string
}

// Read returns the snippets of a Markdown file, in order.
func Read(t testing.TB, file string) (list []Snippet) {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	var heading string
	var open *Snippet
	for line := range strings.Lines(string(content)) {
		fence, isFence := strings.CutPrefix(strings.TrimRight(line, "\n"), "```")
		switch {
		case open != nil && isFence:
			list = append(list, *open)
			open = nil
		case open != nil:
			open.Text += line
		case isFence:
			open = &Snippet{Heading: heading, Language: fence}
		case strings.HasPrefix(line, "#"):
			heading = strings.TrimSpace(strings.TrimLeft(line, "#"))
		}
	}
	require.Nil(t, open, "%s: the last fence is not closed", file)
	require.NotEmpty(t, list, file)
	return list
}
