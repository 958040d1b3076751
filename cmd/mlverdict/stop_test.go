// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/traffic"
)

// underWay is a request of which the server has read the headers and waits for the body.
type underWay struct {
	conn net.Conn
	in   *bufio.Reader
	body string
	want int // status
}

func begin(t *testing.T, address, body string, want int) underWay {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: test\r\nAccept: */*\r\nExpect: 100-continue\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n", len(body))
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
	_, err = in.ReadString('\n')
	require.NoError(t, err)
	return underWay{conn, in, body, want}
}

// end sends the body and reads the answer.
func (r underWay) end(t *testing.T) {
	t.Helper()
	_, err := io.WriteString(r.conn, r.body)
	require.NoError(t, err)
	res, err := http.ReadResponse(r.in, nil)
	require.NoError(t, err)
	assert.Equal(t, r.want, res.StatusCode)
	_, err = io.Copy(io.Discard, res.Body)
	assert.NoError(t, err, "the answer is whole")
}

// A server that is told to stop answers every request that it has begun to read, each with its own verdict, and logs it.
func TestStopUnderLoadLosesNoRequest(t *testing.T) {
	var log bytes.Buffer
	cmd := exec.Command("mlverdict", "serve", "--listen", "127.0.0.1:0")
	cmd.Stdout = &log
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill() })
	first, err := bufio.NewReader(stderr).ReadString('\n')
	require.NoError(t, err)
	server := strings.TrimPrefix(address.FindString(first), "http://")

	idle := begin(t, server, "q=hello", http.StatusOK)
	idle.end(t)
	const requests = 40
	var all []underWay
	for i := range requests {
		text, want := "hello", http.StatusOK
		if i%2 > 0 {
			text, want = "1' UNION SELECT password FROM users--", http.StatusForbidden
		}
		all = append(all, begin(t, server, "q="+url.QueryEscape(text), want))
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	_, err = idle.in.ReadByte()
	require.ErrorIs(t, err, io.EOF, "a server that stops closes idle connections, after it has ceased to listen")
	_, err = net.Dial("tcp", server)
	require.Error(t, err)
	for _, r := range all {
		r.end(t)
	}
	require.NoError(t, cmd.Wait())
	assert.Equal(t, 1+requests/2, strings.Count(log.String(), " status=200 "))
	assert.Equal(t, requests/2, strings.Count(log.String(), " status=403 "))
}

// What is stopped says so, and leaves the file of a former run as it was.
func TestStoppedRunReplacesNoFile(t *testing.T) {
	dir := t.TempDir()
	requests, verdicts := filepath.Join(dir, "requests.jsonl"), filepath.Join(dir, "verdicts.jsonl")
	require.NoError(t, os.WriteFile(requests, []byte(`{"label":"benign","method":"GET","uri":"/","headers":[["Host","localhost"]]}`+"\n"), 0o600))
	require.NoError(t, os.WriteFile(verdicts, []byte("of a former run\n"), 0o600))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var stderr bytes.Buffer
	root := newRootCommand()
	root.SetArgs([]string{"evaluate", "--verdicts", verdicts, requests})
	root.SetOut(io.Discard)
	root.SetErr(&stderr)
	assert.Equal(t, 1, run(ctx, root, &stderr))
	assert.Equal(t, "mlverdict: stopped before it was done\n", stderr.String())
	kept, err := os.ReadFile(verdicts)
	require.NoError(t, err)
	assert.Equal(t, "of a former run\n", string(kept))
}

// What reads rows may outlive a run that is stopped, and finds its file closed: it has nothing to say any more.
func TestFinishedRowsSayNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "requests.jsonl")
	require.NoError(t, os.WriteFile(file, []byte("no request\nnor this\n"), 0o600))
	reader, err := traffic.Open(file)
	require.NoError(t, err)
	defer reader.Close()
	var stderr bytes.Buffer
	rows := newRows(reader, &stderr, "reading")
	rows.finish()
	for range rows.all() {
	}
	assert.Empty(t, stderr.String())
	assert.Equal(t, skippedRows(2), rows.err(), "but counts what it met")
}
