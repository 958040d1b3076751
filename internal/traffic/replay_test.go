// SPDX-License-Identifier: Apache-2.0

package traffic

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/corazawaf/coraza/v3"
	corazahttp "github.com/corazawaf/coraza/v3/http"
	"github.com/corazawaf/coraza/v3/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// everything logs all that rules can see of a request.
const everything = `
SecRuleEngine On
SecRequestBodyAccess On
SecRequestBodyLimit 1000
SecRequestBodyLimitAction Reject
SecRule REQUEST_HEADERS:Content-Type "@beginsWith application/json" "id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_URI|REQUEST_URI_RAW|REQUEST_LINE|REQUEST_METHOD|REQUEST_PROTOCOL|REQUEST_FILENAME|QUERY_STRING|SERVER_NAME|REMOTE_ADDR|REQUEST_HEADERS|REQUEST_COOKIES|ARGS_GET "@unconditionalMatch" "id:2,phase:1,pass,log,msg:'seen'"
SecRule ARGS:stop "@streq now" "id:3,phase:2,deny,status:403"
SecRule REQUEST_HEADERS:Stop "@streq now" "id:4,phase:1,deny,status:418"
SecRule REQUEST_BODY|REQUEST_BODY_LENGTH|ARGS_POST|REQBODY_PROCESSOR "@unconditionalMatch" "id:5,phase:2,pass,log,msg:'seen'"
`

func newWAF(t *testing.T, seen func(variable string)) coraza.WAF {
	t.Helper()
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithDirectives(everything).WithErrorCallback(func(mr types.MatchedRule) {
		for _, d := range mr.MatchedDatas() {
			seen(d.Variable().Name() + ":" + d.Key() + "=" + d.Value())
		}
	}))
	require.NoError(t, err)
	return waf
}

// TestReplayEqualsConnector sends requests through Coraza's net/http connector and through Replay: rules see the same.
func TestReplayEqualsConnector(t *testing.T) {
	for name, text := range map[string]string{
		"query and cookies": "GET /a%20b/c?x=1&y=%27+or+1 HTTP/1.1\r\nHost: shop.example:8080\r\nCookie: a=1; b=%32\r\nAccept: a\r\nAccept: b\r\n\r\n",
		"form":              "POST /login?z=1 HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 11\r\n\r\nq=1&r=%3Cb%",
		"json":              "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"a\":{\"b\":[1]}}",
		"denied in phase 1": "GET / HTTP/1.1\r\nHost: a\r\nStop: now\r\n\r\n",
		"denied in phase 2": "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 8\r\n\r\nstop=now",
		"body too long":     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1500\r\n\r\n" + strings.Repeat("x", 1500),
	} {
		t.Run(name, func(t *testing.T) {
			var seen []string
			waf := newWAF(t, func(v string) { seen = append(seen, v) })

			live, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
			require.NoError(t, err)
			live.RemoteAddr = Client + ":4711"
			answer := httptest.NewRecorder()
			corazahttp.WrapHandler(waf, http.NotFoundHandler()).ServeHTTP(answer, live)
			want := seen
			require.NotEmpty(t, want)

			seen = nil
			req, err := ParseHTTP(strings.NewReader(text))
			require.NoError(t, err)
			tx := waf.NewTransaction()
			defer tx.Close()
			in, err := req.Replay(tx)
			require.NoError(t, err)
			assert.ElementsMatch(t, want, seen)
			if in == nil {
				assert.Equal(t, http.StatusNotFound, answer.Code, "the request reached the handler")
			} else {
				assert.Equal(t, answer.Code, in.Status)
			}
		})
	}
}

func TestReplayKeepsWhatWasRecorded(t *testing.T) {
	var seen []string
	waf := newWAF(t, func(v string) { seen = append(seen, v) })
	tx := waf.NewTransaction()
	defer tx.Close()
	req := &Request{Method: "POST", URI: "/\x01?a=%zz", Headers: [][2]string{{"content-length", "99"}, {"HOST", "b"}}, Body: []byte("q")}
	_, err := req.Replay(tx)
	require.NoError(t, err)
	assert.Contains(t, seen, "REQUEST_HEADERS:content-length=99")
	assert.Contains(t, seen, "SERVER_NAME:=b")
	assert.Contains(t, seen, "REQUEST_URI_RAW:=/\x01?a=%zz")
	assert.Contains(t, seen, "ARGS_GET:a=%zz")
}

func TestReplayRefusesPayloads(t *testing.T) {
	tx := newWAF(t, func(string) {}).NewTransaction()
	defer tx.Close()
	_, err := (&Request{Label: Attack, Payload: "x"}).Replay(tx)
	assert.EqualError(t, err, "traffic: a payload row has no request to replay")
}
