// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/snippets"
)

// The example as a user has it: built, started and asked over the network.
func TestExample(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "http-server")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(out))

	addr := freeAddress(t)
	server := exec.CommandContext(t.Context(), binary, "-listen", addr)
	require.NoError(t, server.Start())
	t.Cleanup(func() { _ = server.Wait() }) // the test's context has ended it by then
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, time.Minute, 10*time.Millisecond)

	status, body := get(t, "http://"+addr+"/?q=hello")
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, "welcome\n", body)

	status, body = get(t, "http://"+addr+"/?id=1%27+UNION+SELECT+password+FROM+users--")
	assert.Equal(t, http.StatusForbidden, status)
	assert.Empty(t, body)
}

// The README shows the lines that matter, and they are these.
func TestReadme(t *testing.T) {
	var shown string
	for _, s := range snippets.Read(t, "../../README.md") {
		if s.Language == "go" {
			shown += s.Text
		}
	}
	require.NotEmpty(t, shown)
	example, err := os.ReadFile("main.go")
	require.NoError(t, err)
	assert.Contains(t, bare(string(example)), bare(shown))
}

// bare takes comments and blanks out of code.
func bare(code string) string {
	return regexp.MustCompile(`//.*|\s+`).ReplaceAllString(code, "")
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(t, err)
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
	r.Header.Set("Accept", "*/*")
	r.Host = "shop.example"
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(content)
}
