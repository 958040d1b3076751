// SPDX-License-Identifier: Apache-2.0

package operators_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
)

const injection = "1' UNION SELECT password FROM users--"

// measured are the requests that cost is measured on. CRS flags each of them at paranoia level 1, and so the model is
// asked: one of their values is a SQL injection.
var measured = []struct {
	name    string
	request *traffic.Request
}{
	// a page with 4 arguments
	{"GET", &traffic.Request{Method: http.MethodGet, Headers: browser(),
		URI: "/shop/list?page=2&sort=price_asc&q=summer+dress&id=" + url.QueryEscape(injection)}},
	// 8 fields of some 125 bytes of text
	{"form-1kB", post("/contact", "application/x-www-form-urlencoded", formOf1kB())},
	// 75 objects of four members, as an API takes them
	{"JSON-9kB", post("/api/orders", "application/json", jsonOf9kB())},
}

func browser() [][2]string {
	return [][2]string{
		{"Host", "shop.example"},
		{"User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
		{"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		{"Accept-Language", "en-US,en;q=0.5"},
	}
}

func post(uri, contentType, body string) *traffic.Request {
	return &traffic.Request{Method: http.MethodPost, URI: uri, Body: []byte(body),
		Headers: append(browser(), [2]string{"Content-Type", contentType}, [2]string{"Content-Length", strconv.Itoa(len(body))})}
}

func formOf1kB() string {
	form := url.Values{"id": {injection}}
	for i := range 8 {
		form.Set(fmt.Sprintf("field%d", i), fmt.Sprintf("The parcel number %d came on Monday, with two of the three "+
			"lamps we had ordered. Could you send the last one, please?", 4711+i))
	}
	return form.Encode()
}

func jsonOf9kB() string {
	var b strings.Builder
	b.WriteString(`{"customer":"` + injection + `","items":[`)
	for i := range 75 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"sku":"LMP-%05d","qty":%d,"price":"%d.90","note":"Desk lamp, brass, with a linen shade and a cable of two metres"}`,
			i*37, i%5+1, i+10)
	}
	b.WriteString(`]}`)
	return b.String()
}

// replayed takes a request through phases 1 and 2 of a transaction, which is closed when the test ends.
func replayed(tb testing.TB, w coraza.WAF, r *traffic.Request) types.Transaction {
	tb.Helper()
	tx := w.NewTransaction()
	tb.Cleanup(func() { tx.Close() })
	_, err := r.Replay(tx)
	require.NoError(tb, err)
	return tx
}

// asked builds a WAF at a paranoia level with the plugin, and makes sure that a request has the model asked.
func asked(tb testing.TB, paranoia int, r *traffic.Request) (coraza.WAF, plugintypes.TransactionState) {
	tb.Helper()
	w := waftest.New(tb, func(c *waf.Config) { c.Paranoia = paranoia })
	state := replayed(tb, w, r).(plugintypes.TransactionState)
	score := state.Variables().TX().Get("ml_score")
	require.Len(tb, score, 1, "CRS does not flag the request")
	require.NotEqual(tb, "0", score[0])
	return w, state
}
