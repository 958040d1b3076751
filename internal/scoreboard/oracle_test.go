// SPDX-License-Identifier: Apache-2.0

package scoreboard

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/server"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/model"
)

// TestServeAnswersWhatTheTableSays sends the test's requests over HTTP to what serve runs, without and with the second
// verdict: as many are refused as the columns "CRS alone" and "with mlverdict" say.
func TestServeAnswersWhatTheTableSays(t *testing.T) {
	d, err := load(t, traffics(t))
	require.NoError(t, err)
	m := model.Default()
	r := New(d, m)
	r.Measure(d, []Contender{Judged("mlverdict", "", m)})
	for _, level := range []int{1, 4} {
		alone := guard(t, waf.Config{Paranoia: level})
		both := guard(t, waf.Config{Paranoia: level, Plugin: true, Mode: "second_verdict", Threshold: DefaultThreshold})
		type count struct{ alone, both int }
		counts := map[[2]string]*count{}
		for i := range d.Test {
			s := &d.Test[i]
			key := [2]string{s.Set, s.Label}
			if counts[key] == nil {
				counts[key] = &count{}
			}
			if denied(t, alone, s.Request) {
				counts[key].alone++
			}
			if denied(t, both, s.Request) {
				counts[key].both++
			}
		}
		rows, flagged := 0, 0
		for _, row := range r.Whole(level) {
			got := counts[[2]string{row.Set, row.Label}]
			assert.Equal(t, got.alone, row.CRS, "%s at paranoia level %d: CRS alone", row.Set, level)
			assert.Equal(t, got.both, row.Contenders["mlverdict"][Tuned].Denied, "%s at paranoia level %d: with mlverdict", row.Set, level)
			flagged += row.CRS
			rows++
		}
		assert.Equal(t, len(counts), rows)
		assert.NotZero(t, flagged)
	}
}

// guard starts a server as serve does, in front of its built-in page.
func guard(t *testing.T, config waf.Config) string {
	t.Helper()
	w, err := waf.New(config)
	require.NoError(t, err)
	quiet := slog.New(slog.DiscardHandler)
	s := httptest.NewServer(server.New(server.Config{WAF: w, Access: quiet, Errors: quiet}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// denied sends a request as it was recorded, which net/http's client would change, and tells whether it is forbidden.
func denied(t *testing.T, address string, r *traffic.Request) bool {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\n", r.Method, r.URI)
	for _, h := range r.Headers {
		fmt.Fprintf(conn, "%s: %s\r\n", h[0], h[1])
	}
	fmt.Fprintf(conn, "\r\n%s", r.Body)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	require.Contains(t, []int{http.StatusOK, http.StatusForbidden}, res.StatusCode)
	return res.StatusCode == http.StatusForbidden
}
