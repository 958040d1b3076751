// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// closing tells when the server has begun to shut down: it closes its listener first.
type closing struct {
	net.Listener
	begun chan struct{}
}

func (c closing) Close() error {
	defer close(c.begun)
	return c.Listener.Close()
}

func TestServeLetsRequestsEnd(t *testing.T) {
	ln, err := Listen("127.0.0.1:0")
	require.NoError(t, err)
	arrived, begun := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-begun
		io.WriteString(w, "done")
	})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- Serve(ctx, closing{ln, begun}, h, slog.New(slog.DiscardHandler)) }()

	answer := make(chan string)
	go func() {
		res, err := http.Get("http://" + ln.Addr().String())
		if !assert.NoError(t, err) {
			close(answer)
			return
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		answer <- string(body)
	}()
	<-arrived
	stop()
	assert.Equal(t, "done", <-answer)
	assert.NoError(t, <-ended)
	_, err = net.Dial("tcp", ln.Addr().String())
	assert.Error(t, err, "nobody listens any more")
}

func TestServeReportsABrokenListener(t *testing.T) {
	err := Serve(context.Background(), broken{}, nil, slog.New(slog.DiscardHandler))
	assert.EqualError(t, err, "server: no more files")
}

type broken struct{ net.Listener }

func (broken) Accept() (net.Conn, error) { return nil, errors.New("no more files") }
func (broken) Close() error              { return nil }

func TestListenRefuses(t *testing.T) {
	taken, err := Listen("127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, err = Listen(taken.Addr().String())
	assert.EqualError(t, err, "server: address "+taken.Addr().String()+" is taken by another program: stop it, or listen elsewhere")
	_, err = Listen("8080")
	assert.ErrorContains(t, err, "want an address such as 127.0.0.1:8080")
}
