// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/snippets"
)

var update = flag.Bool("update", false, "write the example of docs/explain.md anew, after a change of the model")

// The example of docs/explain.md is what the command prints.
func TestExplainExample(t *testing.T) {
	const file = "../../docs/explain.md"
	list := snippets.Read(t, file)
	command, shown := strings.TrimSpace(list[0].Text), list[1].Text
	url, ok := strings.CutPrefix(command, "mlverdict explain --url ")
	require.True(t, ok, command)

	var stdout, stderr bytes.Buffer
	root := newRootCommand()
	root.SetArgs([]string{"explain", "--url", strings.Trim(url, `"`)})
	root.SetOut(&stdout)
	require.Zero(t, run(t.Context(), root, &stderr), "%s", &stderr)

	if *update {
		page, err := os.ReadFile(file)
		require.NoError(t, err)
		page = bytes.Replace(page, []byte("```text\n"+shown), []byte("```text\n"+stdout.String()), 1)
		require.NoError(t, os.WriteFile(file, page, 0o644))
		return
	}
	assert.Equal(t, stdout.String(), shown, "run: go test ./cmd/mlverdict -run TestExplainExample -update")
}
