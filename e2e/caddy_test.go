// SPDX-License-Identifier: Apache-2.0

// Package e2e_test starts a real Caddy, with coraza-caddy and the plugin, and talks HTTP to it.
package e2e_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// binary is the Caddy that TestMain has built.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "mlverdict-e2e")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "caddy")
		build := exec.Command("go", "build", "-o", binary, "./cmd/caddy")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "building Caddy:", err)
			return 1
		}
		return m.Run()
	}())
}

const (
	patience = 2 * time.Minute       // how long something may take on a busy machine
	tick     = 10 * time.Millisecond // how often it is looked at meanwhile
)

// caddy is a running Caddy.
type caddy struct {
	url    string // where it listens
	config string // its Caddyfile
	log    string // what its rules log, as plain text
	dir    string
	stderr *output
	exited chan error
}

// site fills a Caddyfile whose only site has the directives for its WAF and an upstream behind it.
const site = `{
	admin unix/%[1]s/admin.sock
	storage file_system %[1]s
	order coraza_waf first
	auto_https disable_redirects
	skip_install_trust
	log waf {
		output file %[1]s/waf.log
		format console
		include http.handlers.waf
	}
}

%[2]s {
	tls internal
	coraza_waf {
		load_owasp_crs
		directives <<SECLANG
			%[3]s
			SECLANG
	}
	reverse_proxy %[4]s
}
`

// start runs Caddy with the directives until the test ends.
func start(t *testing.T, directives string) *caddy {
	t.Helper()
	c := prepare(t)
	c.url = "https://localhost:" + freePort(t)
	c.write(t, directives)
	c.run(t)
	return c
}

// prepare makes a folder for a Caddy. Its name is short: a socket goes into it.
func prepare(t *testing.T) *caddy {
	t.Helper()
	dir, err := os.MkdirTemp("", "caddy")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return &caddy{
		dir: dir, config: filepath.Join(dir, "Caddyfile"), log: filepath.Join(dir, "waf.log"),
		stderr: new(output), exited: make(chan error, 1),
	}
}

// write changes the directives in the Caddyfile, for the next reload.
func (c *caddy) write(t *testing.T, directives string) {
	t.Helper()
	text := fmt.Sprintf(site, c.dir, c.url, strings.ReplaceAll(directives, "\n", "\n\t\t\t"), backend(t))
	require.NoError(t, os.WriteFile(c.config, []byte(text), 0o600))
}

// run starts the Caddyfile and waits until it answers.
func (c *caddy) run(t *testing.T) {
	t.Helper()
	cmd := c.command("run", "--config", c.config)
	require.NoError(t, cmd.Start())
	go func() { c.exited <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-c.exited:
		case <-time.After(patience):
			t.Errorf("Caddy did not stop:\n%s", c.stderr)
			_ = cmd.Process.Kill()
		}
		if t.Failed() {
			t.Logf("Caddy's output:\n%s", c.stderr)
		}
	})
	client := newClient(http1)
	require.Eventually(t, func() bool {
		resp, err := client.Get(c.url + "/ready")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	}, patience, tick, "Caddy does not answer")
}

// command is Caddy's command line, with its state in the test's folder.
func (c *caddy) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+c.dir, "XDG_CONFIG_HOME="+c.dir)
	cmd.Stdout, cmd.Stderr = c.stderr, c.stderr
	return cmd
}

// reload tells the running Caddy to read its Caddyfile, and returns what the command printed.
func (c *caddy) reload(flags ...string) (string, error) {
	cmd := c.command(append([]string{"reload", "--config", c.config}, flags...)...)
	cmd.Stdout, cmd.Stderr = nil, nil
	out, err := cmd.CombinedOutput()
	return string(out), err
}

var (
	ruleID  = regexp.MustCompile(`\[id "(\d+)"\]`)
	ruleURI = regexp.MustCompile(`\[uri "([^"]*)"\]`)
)

// said returns the log lines of all rules, by the request target's path and the rule's id. A rule logs before the
// request that it matches is answered.
func (c *caddy) said(t *testing.T) map[string]map[int]string {
	t.Helper()
	text, err := os.ReadFile(c.log)
	require.NoError(t, err)
	said := map[string]map[int]string{}
	for line := range strings.Lines(string(text)) {
		id, uri := ruleID.FindStringSubmatch(line), ruleURI.FindStringSubmatch(line)
		if id == nil || uri == nil {
			continue
		}
		number, err := strconv.Atoi(id[1])
		require.NoError(t, err)
		path, _, _ := strings.Cut(uri[1], "?")
		if said[path] == nil {
			said[path] = map[int]string{}
		}
		said[path][number] = line
	}
	return said
}

// output is a buffer that a process writes to while the test reads it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// backend is an application that sends back what it gets, as a type of content that Coraza does not look into.
func backend(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	require.NoError(t, err)
	return port
}

// Protocols, as the server names them in its answers.
const (
	http1 = "HTTP/1.1"
	http2 = "HTTP/2.0"
)

// newClient speaks one protocol and nothing else. It does not ask who signed Caddy's certificate.
func newClient(protocol string) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(protocol == http1)
	protocols.SetHTTP2(protocol == http2)
	return &http.Client{
		Timeout: patience,
		Transport: &http.Transport{
			Protocols:           protocols,
			TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
			MaxIdleConnsPerHost: 64,
		},
	}
}

// eachProtocol runs a test over HTTP/1.1 and over HTTP/2.
func eachProtocol(t *testing.T, f func(t *testing.T, client *http.Client, protocol string)) {
	t.Helper()
	for _, protocol := range []string{http1, http2} {
		t.Run(protocol, func(t *testing.T) {
			client := newClient(protocol)
			defer client.CloseIdleConnections()
			f(t, client, protocol)
		})
	}
}
