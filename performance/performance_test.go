// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/waf"
)

func TestReplaceBlock(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.md")
	require.NoError(t, os.WriteFile(file, []byte("before\n<!-- x: begin (make y) -->\nold\n<!-- x: end -->\nafter\n"), 0o600))
	require.NoError(t, replaceBlock(file, "x", "new\n\n"))
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "before\n<!-- x: begin (make y) -->\nnew\n<!-- x: end -->\nafter\n", string(content))
	assert.ErrorContains(t, replaceBlock(file, "z", "new"), `has no block "z"`)
}

// Every block that a command fills is there to be filled.
func TestDocumentHasTheBlocks(t *testing.T) {
	content, err := os.ReadFile("../docs/performance.md")
	require.NoError(t, err)
	copied := filepath.Join(t.TempDir(), "performance.md")
	require.NoError(t, os.WriteFile(copied, content, 0o600))
	for _, block := range []string{"bench", "soak", "load", "fuzz"} {
		assert.NoError(t, replaceBlock(copied, block, "new"), block)
	}
}

func TestMedians(t *testing.T) {
	m, err := parse([]byte("pkg: a\nBenchmarkA/b=1-2 10 300 ns/op 5.0 MB/s\nBenchmarkA/b=1-2 10 100 ns/op\nBenchmarkA/b=1-2 10 200 ns/op\n"))
	require.NoError(t, err)
	assert.Equal(t, 200.0, m.median("A/b=1", "ns/op"))
	assert.Equal(t, 5.0, m.median("A/b=1", "MB/s"))
	require.NoError(t, m.err)
	m.median("A/b=2", "ns/op")
	assert.ErrorContains(t, m.err, "no benchmark gave ns/op of A/b=2")
}

// A verdict that is not the one that was worked out is told, as is a line that is missing.
func TestCheckerFindsWrongVerdicts(t *testing.T) {
	c, err := newChecker(waf.Config{Paranoia: 1, Plugin: true})
	require.NoError(t, err)
	assert.Error(t, c.err(), "nothing was asked")
	c.answered = 1
	require.NoError(t, c.compareLog("time=now msg=request "+c.known[0].log+"\nmsg=request path=/other \n"))
	require.NoError(t, c.err())
	require.NoError(t, c.compareLog("status=500 path=/check/1 verdict=pass"))
	assert.ErrorContains(t, c.err(), "1 wrong verdicts")
	assert.Error(t, c.compareLog("path=/check/9999 verdict=pass"))
}
