// SPDX-License-Identifier: Apache-2.0

package robustness_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/robustness"
)

// resumed runs a suite with a file of finished searches and returns its report and the file.
func resumed(t *testing.T, suite *robustness.Adversarial, path string) (report string, lines [][]byte) {
	t.Helper()
	finished, err := robustness.OpenSearches(path)
	require.NoError(t, err)
	defer finished.Close()
	suite.Finished = finished
	r, err := suite.Run(t.Context())
	require.NoError(t, err)
	return asJSON(t, r), fileLines(t, path)
}

func fileLines(t *testing.T, path string) [][]byte {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, len(content) == 0 || bytes.HasSuffix(content, []byte("\n")), "lines are whole")
	return bytes.Split(bytes.TrimSuffix(content, []byte("\n")), []byte("\n"))
}

// A run that is stopped in the middle, and one whose last line was cut short, gives what one gives that is not.
func TestAdversarialGoesOn(t *testing.T) {
	suite := suiteOf(t, 3, 24)
	suite.Attacks = append(suite.Attacks, robustness.Attack{Class: "rce", Payload: "\xff;cat /etc/passwd"})
	want := asJSON(t, report(t, suite))
	require.Contains(t, want, `\ufffd`, "an evasion that is no UTF-8")
	path := filepath.Join(t.TempDir(), "searches.jsonl")

	ctx, stop := context.WithCancel(t.Context())
	var queries atomic.Int64
	suite.Advance = func(n int) {
		if queries.Add(int64(n)) > 9*24 { // during the second defence
			stop()
		}
	}
	finished, err := robustness.OpenSearches(path)
	require.NoError(t, err)
	suite.Finished = finished
	_, err = suite.Run(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, finished.Close())
	begun := fileLines(t, path)
	require.GreaterOrEqual(t, len(begun), 8, "the first defence is done")
	require.Less(t, len(begun), 16)

	suite.Advance = nil
	got, lines := resumed(t, suite, path)
	assert.Equal(t, want, got)
	assert.Len(t, lines, 16, "no search was made twice")
	assert.Equal(t, begun, lines[:len(begun)])

	last := lines[15]
	all, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, kept := range []int{1, len(last) / 2, len(last)} { // of the last line, without its end
		require.NoError(t, os.WriteFile(path, all[:len(all)-1-len(last)+kept], 0o600))
		got, lines = resumed(t, suite, path)
		assert.Equal(t, want, got, "%d bytes", kept)
		assert.Len(t, lines, 16)
	}
}

func report(t *testing.T, suite *robustness.Adversarial) *robustness.AdversarialReport {
	t.Helper()
	r, err := suite.Run(t.Context())
	require.NoError(t, err)
	return r
}

// What a search depends on makes it another one; the model makes another one of those that ask it only.
func TestAdversarialTakesItsOwnSearches(t *testing.T) {
	path := filepath.Join(t.TempDir(), "searches.jsonl")
	want, lines := resumed(t, suiteOf(t, 3, 4), path)
	require.Len(t, lines, 14)
	got, lines := resumed(t, suiteOf(t, 90, 4), path)
	assert.Len(t, lines, 14+7, "another model")
	for _, line := range lines[14:] {
		assert.Contains(t, string(line), `"second_verdict":true`)
	}
	assert.Equal(t, asJSON(t, report(t, suiteOf(t, 90, 4))), got)

	for name, change := range map[string]func(*robustness.Adversarial){
		"seed":    func(s *robustness.Adversarial) { s.Seed++ },
		"budget":  func(s *robustness.Adversarial) { s.Budget++ },
		"attacks": func(s *robustness.Adversarial) { s.Attacks[0], s.Attacks[1] = s.Attacks[1], s.Attacks[0] },
	} {
		t.Run(name, func(t *testing.T) {
			other := suiteOf(t, 3, 4)
			change(other)
			alone := asJSON(t, report(t, other))
			got, _ := resumed(t, other, path)
			assert.Equal(t, alone, got)
		})
	}
	again, _ := resumed(t, suiteOf(t, 3, 4), path)
	assert.Equal(t, want, again)
}

func TestOpenSearchesLeavesOtherFilesAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	whole := `{"adversarial":"1","queries":1}` + "\n"
	for _, text := range []string{"a letter\nto you\n", "no line at all", `{"label":"attack"}` + "\n", `{"adversarial":"1"}` + "\n", `{"adversarial":"1","quer` + "\n"} {
		text = whole + text
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := robustness.OpenSearches(path)
		assert.ErrorContains(t, err, path+":2: not a search of mlverdict robustness adversarial", text)
		left, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, text, string(left))
	}
	_, err := robustness.OpenSearches(filepath.Join(path, "within a file"))
	assert.Error(t, err)
}
