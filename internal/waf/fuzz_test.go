// SPDX-License-Identifier: Apache-2.0

package waf_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/rules"
)

// places put any bytes where a client can put them.
var places = []func(r *traffic.Request, data []byte){
	func(r *traffic.Request, data []byte) { r.Method = string(data) },
	func(r *traffic.Request, data []byte) { r.URI = "/" + string(data) },
	func(r *traffic.Request, data []byte) { r.URI = "/?" + string(data) },
	func(r *traffic.Request, data []byte) { r.URI = "/?q=" + url.QueryEscape(string(data)) },
	func(r *traffic.Request, data []byte) { header(r, "Cookie", string(data)) },
	func(r *traffic.Request, data []byte) { header(r, "Cookie", "sid="+string(data)) },
	func(r *traffic.Request, data []byte) { header(r, "User-Agent", string(data)) },
	func(r *traffic.Request, data []byte) { header(r, string(data), "1") },
	func(r *traffic.Request, data []byte) { header(r, "Content-Type", string(data)); r.Body = data },
	func(r *traffic.Request, data []byte) { body(r, "application/x-www-form-urlencoded", string(data)) },
	func(r *traffic.Request, data []byte) {
		body(r, "application/x-www-form-urlencoded", "q="+url.QueryEscape(string(data)))
	},
	func(r *traffic.Request, data []byte) { body(r, "application/json", string(data)) },
	func(r *traffic.Request, data []byte) {
		text, _ := json.Marshal(string(data)) // a string always marshals
		body(r, "application/json", `{"q":`+string(text)+`}`)
	},
	func(r *traffic.Request, data []byte) { body(r, "application/xml", string(data)) },
	func(r *traffic.Request, data []byte) {
		body(r, "application/xml", `<r a="`+string(data)+`">`+string(data)+`</r>`)
	},
	func(r *traffic.Request, data []byte) { body(r, "multipart/form-data; boundary=X", string(data)) },
	func(r *traffic.Request, data []byte) {
		body(r, "multipart/form-data; boundary=X",
			"--X\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\n"+string(data)+"\r\n--X--\r\n")
	},
	func(r *traffic.Request, data []byte) {
		body(r, "multipart/form-data; boundary=X",
			"--X\r\nContent-Disposition: form-data; name=\"q\"; filename=\""+string(data)+"\"\r\n\r\ntext\r\n--X--\r\n")
	},
	func(r *traffic.Request, data []byte) { body(r, "text/plain", string(data)) },
}

func header(r *traffic.Request, name, value string) {
	r.Headers = append(r.Headers, [2]string{name, value})
}

func body(r *traffic.Request, contentType, text string) {
	r.Method, r.Body = http.MethodPost, []byte(text)
	header(r, "Content-Type", contentType)
	header(r, "Content-Length", strconv.Itoa(len(text)))
}

// FuzzTransaction sends any bytes at any place through the whole of Coraza, CRS and the plugin: nothing panics, the
// model answers, and what is denied is what the two scores and the mode say.
func FuzzTransaction(f *testing.F) {
	w := waftest.New(f, func(c *waf.Config) { c.Mode, c.Threshold, c.DetectThreshold = "detect", 50, 20 })
	for place := range places {
		f.Add(byte(place), []byte("1' UNION SELECT password FROM users--"))
	}
	f.Add(byte(2), []byte("a=<script>alert(1)</script>&b=%00%ff%u0041&&=;a[]=../../etc/passwd"))
	f.Add(byte(11), []byte(`{"a":[1,{"b":"\u003csvg onload=alert(1)>"}],"":null}`))
	f.Fuzz(func(t *testing.T, place byte, data []byte) {
		if len(data) > 2048 { // CRS takes seconds for more
			return
		}
		r := &traffic.Request{Method: http.MethodGet, URI: "/", Headers: [][2]string{
			{"Host", "shop.example"}, {"Accept", "*/*"}, {"Accept-Language", "en"}}}
		places[int(place)%len(places)](r, data)
		tx := w.NewTransaction()
		defer tx.Close()
		it, err := r.Replay(tx)
		require.NoError(t, err)
		a := waftest.AnswerOf(tx, it)
		if a.Rule != 0 && !rules.Owns(a.Rule) || it != nil && a.Rule == 0 {
			return // Coraza refused it before anyone was asked
		}
		assert.Empty(t, a.TX["ml_error"])
		score := number(t, a, "ml_score")
		flagged := number(t, a, "blocking_inbound_anomaly_score") >= number(t, a, "inbound_anomaly_score_threshold")
		denied := flagged && score <= 50 || !flagged && score <= 20
		require.Equal(t, denied, a.Status == http.StatusForbidden, "CRS flags: %v, ML score: %d", flagged, score)
		assert.Regexp(t, `^[ -~]*$`, a.TX["ml_reason"])
		assert.Less(t, len(a.TX["ml_reason"]), 400)
	})
}

func number(t *testing.T, a waftest.Answer, name string) int {
	t.Helper()
	n, err := strconv.Atoi(a.TX[name])
	require.NoError(t, err, fmt.Sprintf("%s of %+v", name, a))
	return n
}
