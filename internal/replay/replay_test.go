// SPDX-License-Identifier: Apache-2.0

package replay_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corazahttp "github.com/corazawaf/coraza/v3/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/verdict"
	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/request"
)

// record notes down the requests that reach a server, as a recorder in front of it would.
func record(next http.Handler, last *traffic.Request) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		*last = traffic.Request{Method: r.Method, URI: r.RequestURI, Headers: [][2]string{{"Host", r.Host}}, Body: body}
		for name, values := range r.Header {
			for _, value := range values {
				last.Headers = append(last.Headers, [2]string{name, value})
			}
		}
		next.ServeHTTP(w, r)
	})
}

// A replay yields the view that the operator reads of the same request in a server: there is one way to a view.
func TestReplayEqualsALiveServer(t *testing.T) {
	live := waftest.Observe(t, request.ParanoiaLevels)
	var recorded traffic.Request
	server := httptest.NewServer(record(corazahttp.WrapHandler(live, http.NotFoundHandler()), &recorded))
	defer server.Close()
	replayer, err := replay.New()
	require.NoError(t, err)

	for _, row := range requests() {
		r, err := http.NewRequest(row.Method, server.URL+row.URI, bytes.NewReader(row.Body))
		require.NoError(t, err)
		for _, h := range row.Headers {
			r.Header.Set(h[0], h[1])
		}
		r.Host = "shop.example"
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		answer.Body.Close()

		rec, err := replayer.Replay(&recorded)
		require.NoError(t, err)
		assert.False(t, rec.Refused)
		assert.Equal(t, live.View(t), rec.View, "%s %s", row.Method, row.URI)
	}
	assert.Equal(t, waftest.Hour, replay.Hour, "else the views differ in it")
}

// One replay at level 4 serves every level: the model's score of the stored view is the score in a WAF at that level.
func TestReplayServesEveryParanoiaLevel(t *testing.T) {
	replayer, err := replay.New()
	require.NoError(t, err)
	rows, recs := requests(), []replay.Recording(nil)
	for _, row := range rows {
		rec, err := replayer.Replay(row)
		require.NoError(t, err)
		recs = append(recs, rec)
	}
	flagged := 0
	for pl := 1; pl <= request.ParanoiaLevels; pl++ {
		w, err := waf.New(waf.Config{Paranoia: pl, Plugin: true, Mode: "ml_only"}) // the mode that always asks
		require.NoError(t, err)
		for i, row := range rows {
			tx := w.NewTransaction()
			_, err := row.Replay(tx)
			require.NoError(t, err)
			want := verdict.Of(tx)
			require.NoError(t, tx.Close())

			view := recs[i].View.AtParanoia(pl)
			var got model.Verdict
			require.NoError(t, model.Default().Judge(&view, &got))
			assert.Equal(t, want.CRS.Score, view.Score(), "level %d: %s", pl, row.URI)
			assert.Equal(t, want.CRS.Flags(), view.Denied())
			assert.Equal(t, want.ML.Score, got.Score, "level %d: %s", pl, row.URI)
			assert.Equal(t, want.ML.Class, got.Class.String())
			assert.Equal(t, want.ML.Reason, got.Reason())
			if view.Denied() {
				flagged++
			}
		}
	}
	assert.Greater(t, flagged, 20, "else this test shows little")
}

// What Coraza refuses before CRS can judge is told apart from what CRS denies.
func TestReplayTellsTheEngineFromCRS(t *testing.T) {
	replayer, err := replay.New()
	require.NoError(t, err)
	headers := [][2]string{{"Host", "shop.example"}, {"User-Agent", "test"}, {"Accept", "*/*"}}
	rec, err := replayer.Replay(&traffic.Request{Method: "GET", URI: "/?id=1%27+UNION+SELECT+password+FROM+users--", Headers: headers})
	require.NoError(t, err)
	assert.False(t, rec.Refused)
	assert.True(t, rec.View.Denied())

	for _, body := range []string{`{"`, `{"a":"` + strings.Repeat("a", 14<<20) + `"}`} { // by a rule; without one, as too large
		rec, err = replayer.Replay(&traffic.Request{Method: "POST", URI: "/", Body: []byte(body),
			Headers: append(headers, [2]string{"Content-Type", "application/json"})})
		require.NoError(t, err)
		assert.True(t, rec.Refused, len(body))
	}

	_, err = replayer.Replay(&traffic.Request{Payload: "1' or '1'='1"})
	assert.Error(t, err)
}
