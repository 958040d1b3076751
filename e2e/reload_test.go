// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/model"
)

// A new model under the same name, and a reload while clients are asking: every request is answered by the old model
// or by the new one, and those that are sent after the reload by the new one.
func TestReloadUnderLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "site.model")
	install(t, waftest.Model(t, 51), path) // vetoes
	c := start(t, directives(useModel(path)))

	load := newLoad(t, c)
	load.wait(t, http.StatusOK)
	install(t, waftest.Model(t, 50), path) // denies
	out, err := c.reload()
	require.NoError(t, err, out)
	assert.Equal(t, http.StatusOK, injection(t, c), "the Caddyfile has not changed, so nothing was read anew")

	out, err = c.reload("--force")
	require.NoError(t, err, out)
	assert.Equal(t, http.StatusForbidden, injection(t, c))
	load.wait(t, http.StatusForbidden)
	load.stop(t)
}

// A Caddyfile that names a model which cannot be read is refused, and the old one goes on.
func TestBadModelAtReload(t *testing.T) {
	for name, path := range badModels(t) {
		t.Run(name, func(t *testing.T) {
			c := start(t, directives(useModel(waftest.Model(t, 51))))
			load := newLoad(t, c)
			load.wait(t, http.StatusOK)
			c.write(t, directives(useModel(path)))
			out, err := c.reload()
			require.Error(t, err)
			assert.Contains(t, out, "@detectAnomaly")
			assert.Contains(t, out, path)
			load.wait(t, http.StatusOK)
			assert.Zero(t, load.stop(t)[http.StatusForbidden])
			assert.Equal(t, http.StatusOK, injection(t, c))
		})
	}
}

func TestBadModelAtStart(t *testing.T) {
	for name, path := range badModels(t) {
		t.Run(name, func(t *testing.T) {
			c := prepare(t)
			c.url = "https://localhost:" + freePort(t)
			c.write(t, directives(useModel(path)))
			require.Error(t, c.command("run", "--config", c.config).Run())
			assert.Contains(t, c.stderr.String(), "@detectAnomaly")
			assert.Contains(t, c.stderr.String(), path)
		})
	}
}

// badModels returns paths at which there is no model.
func badModels(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return path
	}
	file, err := os.ReadFile(waftest.Model(t, 50))
	require.NoError(t, err)
	changed := bytes.Clone(file)
	changed[len(changed)/2] ^= 1
	_, err = model.Read(changed)
	require.Error(t, err)
	return map[string]string{
		"missing":   filepath.Join(dir, "missing.model"),
		"empty":     write("empty.model", nil),
		"cut off":   write("cut.model", file[:len(file)/2]),
		"one bit":   write("changed.model", changed),
		"no model":  write("notes.model", []byte("this is no model\n")),
		"directory": dir,
	}
}

// install puts a model file in the place of another at once, as a deployment should.
func install(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to+".new", content, 0o600))
	require.NoError(t, os.Rename(to+".new", to))
}

// injection asks over a new connection and returns the status.
func injection(t *testing.T, c *caddy) int {
	t.Helper()
	client := newClient(http2)
	defer client.CloseIdleConnections()
	return ask(t, client, newRequest(t, http.MethodGet, c.url+"/new"+injectionQuery, nil)).status
}

// load are clients that send one request after the other, over connections that they keep.
type load struct {
	ending  atomic.Bool
	clients sync.WaitGroup

	mu    sync.Mutex
	count map[int]int // answers by status
	errs  []error
}

func newLoad(t *testing.T, c *caddy) *load {
	l := &load{count: map[int]int{}}
	for i := range 8 {
		client := newClient([]string{http1, http2}[i%2])
		l.clients.Go(func() {
			defer client.CloseIdleConnections()
			for !l.ending.Load() {
				a, err := deliver(client, func() *http.Request {
					return newRequest(t, http.MethodGet, c.url+"/load"+injectionQuery, nil)
				})
				l.mu.Lock()
				if l.count[a.status]++; err != nil {
					l.errs = append(l.errs, err)
				}
				l.mu.Unlock()
			}
		})
	}
	t.Cleanup(func() { l.ending.Store(true); l.clients.Wait() })
	return l
}

// deliver sends a request, and once again if its connection is reset before any answer, as clients may with idempotent
// requests (RFC 9110, 9.2.2) and browsers do. At a reload Caddy's old configuration closes its own listening socket, and
// the kernel resets the new connections that were still waiting to be accepted there: their requests reached nobody.
func deliver(client *http.Client, request func() *http.Request) (answer, error) {
	a, err := send(client, request())
	if errors.Is(err, syscall.ECONNRESET) {
		a, err = send(client, request())
	}
	return a, err
}

// wait returns when a hundred more answers of a status have come.
func (l *load) wait(t *testing.T, status int) {
	t.Helper()
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.count[status]
	}
	before := count()
	require.Eventually(t, func() bool { return count() >= before+100 }, patience, tick)
}

// stop ends the load and returns its answers by status, of which each must be a verdict.
func (l *load) stop(t *testing.T) map[int]int {
	t.Helper()
	l.ending.Store(true)
	l.clients.Wait()
	assert.Empty(t, l.errs)
	for status := range l.count {
		assert.Contains(t, []int{http.StatusOK, http.StatusForbidden}, status)
	}
	return l.count
}
