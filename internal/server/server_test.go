// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/corazawaf/coraza/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
)

const (
	injection     = "/?id=1%27%20UNION%20SELECT%20password%20FROM%20users--"
	falsePositive = "/?gdpr=0&us_privacy=1---"
)

// mode returns a WAF whose model gives every request the same score.
func mode(t *testing.T, mode string, score int) coraza.WAF {
	t.Helper()
	return waftest.New(t, func(c *waf.Config) { c.Mode, c.ModelPath = mode, waftest.Model(t, score) })
}

// log collects what the server logs, as JSON lines.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

// lines returns the records so far. A record is there when its response has been read only if the server was closed.
func (l *log) lines(t *testing.T) (lines []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for in := json.NewDecoder(&l.buf); ; {
		var line map[string]any
		err := in.Decode(&line)
		if err == io.EOF {
			return lines
		}
		require.NoError(t, err)
		lines = append(lines, line)
	}
}

type site struct {
	*httptest.Server
	access, errs log
}

// upstream starts an application to put a server in front of.
func upstream(t *testing.T, h http.HandlerFunc) *url.URL {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	u, err := ParseUpstream(s.URL)
	require.NoError(t, err)
	return u
}

func start(t *testing.T, w coraza.WAF, upstream *url.URL) *site {
	t.Helper()
	s := &site{}
	s.Server = httptest.NewServer(New(Config{WAF: w, Upstream: upstream, Access: s.access.logger(), Errors: s.errs.logger()}))
	t.Cleanup(s.Close)
	return s
}

// get sends a request for a host with a name, as numeric ones are worth points to CRS.
func (s *site) get(t *testing.T, target, accept string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.URL+target, nil)
	require.NoError(t, err)
	r.Host = "shop.example"
	r.Header.Set("Accept", accept)
	return s.do(t, r)
}

func (s *site) do(t *testing.T, r *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := s.Client().Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(body)
}

func TestVerdicts(t *testing.T) {
	type fields = map[string]any
	tooMany := "/?" + strings.Repeat("a=1&", 1000) + strings.TrimPrefix(injection, "/?")
	for name, tc := range map[string]struct {
		mode    string
		score   int
		target  string
		status  int
		want    fields
		message string
	}{
		"passes": {"second_verdict", 3, "/?q=hello", 200,
			fields{"verdict": "pass", "crs_score": 0., "ml_score": 0.}, "it passes."},
		"both flag it": {"second_verdict", 3, injection, 403,
			fields{"verdict": "deny", "crs_score": 20., "crs_threshold": 5., "ml_score": 3., "ml_threshold": 50.}, "and flags 50 or less: both agree."},
		"vetoed": {"second_verdict", 90, falsePositive, 200,
			fields{"verdict": "veto", "crs_score": 5., "ml_score": 90.}, "the model gives 90 and flags 50 or less: a veto."},
		"shadow would veto": {"shadow", 90, falsePositive, 403,
			fields{"verdict": "crs_alone", "crs_score": 5., "ml_score": 90.}, "it decides alone here."},
		"model alone": {"ml_only", 3, "/?q=hello", 403,
			fields{"verdict": "ml_alone", "crs_score": 0., "ml_score": 3.}, "but the model gives 3"},
		"engine": {"second_verdict", 3, tooMany, 400,
			fields{"verdict": "engine", "rule": 200004.}, "Rule 200004 denies, before the two verdicts."},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, mode(t, tc.mode, tc.score), nil)
			res, body := s.get(t, tc.target, "*/*")
			assert.Equal(t, tc.status, res.StatusCode)
			assert.Contains(t, body, tc.message)
			s.Close()
			lines := s.access.lines(t)
			require.Len(t, lines, 1)
			for key, value := range tc.want {
				assert.Equal(t, value, lines[0][key], key)
			}
			assert.EqualValues(t, tc.status, lines[0]["status"])
			assert.Equal(t, "GET", lines[0]["method"])
			assert.Equal(t, "/", lines[0]["path"])
			assert.NotEmpty(t, lines[0]["tx"])
			if tc.status != 200 {
				assert.Contains(t, body, lines[0]["tx"], "the page names the transaction")
			}
			assert.Empty(t, s.errs.lines(t))
		})
	}
}

func TestPages(t *testing.T) {
	s := start(t, mode(t, "second_verdict", 3), nil)
	for name, target := range map[string]string{"passed": "/?q=%3Cb%3E&x=1", "denied": injection + "&q=%3Cb%3E"} {
		t.Run(name, func(t *testing.T) {
			res, body := s.get(t, target, "text/html,*/*;q=0.8")
			assert.Equal(t, "text/html; charset=utf-8", res.Header.Get("Content-Type"))
			assert.Contains(t, res.Header.Get("Content-Security-Policy"), "default-src 'none'")
			assert.Equal(t, "no-referrer", res.Header.Get("Referrer-Policy"))
			assert.Contains(t, body, `autofocus>&lt;b&gt;</textarea>`, "what was sent comes back, escaped")
			assert.Contains(t, body, `<a href="`+strings.ReplaceAll(injection, "&", "&amp;")+`">`)
			assert.Contains(t, body, `<pre>curl 'shop.example/?gdpr=0&amp;us_privacy=1---'</pre>`)
			assert.NotRegexp(t, `(?:src|href)="https?:`, body, "the page needs no other site")
		})
	}
}

// TestProxyTellsNoScores: a client that could read its scores could search for what passes.
func TestProxyTellsNoScores(t *testing.T) {
	s := start(t, mode(t, "second_verdict", 3), upstream(t, http.NotFound))
	for _, accept := range []string{"text/html", "*/*"} {
		res, body := s.get(t, injection, accept)
		assert.Equal(t, http.StatusForbidden, res.StatusCode)
		assert.Contains(t, body, "The request was denied")
		assert.NotContains(t, strings.ToLower(body), "score")
		assert.NotContains(t, body, "9421")
	}
}

func TestProxy(t *testing.T) {
	app := http.NewServeMux()
	app.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s %s", r.Method, r.Host, r.RequestURI, r.Header.Get("X-Forwarded-For"), body)
	})
	app.HandleFunc("/own403", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "the application's own", http.StatusForbidden)
	})
	app.HandleFunc("/hints", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusTeapot)
	})
	s := start(t, mode(t, "second_verdict", 90), upstream(t, app.ServeHTTP))

	t.Run("request as it came", func(t *testing.T) {
		r, err := http.NewRequest(http.MethodPost, s.URL+"/echo?a=1;b=%zz&c", strings.NewReader("q=body"))
		require.NoError(t, err)
		r.Host = "shop.example"
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, body := s.do(t, r)
		assert.Equal(t, http.StatusOK, res.StatusCode)
		assert.Equal(t, "POST shop.example /echo?a=1;b=%zz&c 127.0.0.1 q=body", body)
	})
	t.Run("application's own 403", func(t *testing.T) {
		res, body := s.get(t, "/own403", "text/html")
		assert.Equal(t, http.StatusForbidden, res.StatusCode)
		assert.Equal(t, "the application's own\n", body)
	})
	t.Run("early hints", func(t *testing.T) {
		res, _ := s.get(t, "/hints", "*/*")
		assert.Equal(t, http.StatusTeapot, res.StatusCode)
	})
	s.Close()
	var got []string
	for _, line := range s.access.lines(t) {
		got = append(got, fmt.Sprintf("%v %v %v", line["status"], line["path"], line["verdict"]))
	}
	assert.Equal(t, []string{"200 /echo pass", "403 /own403 pass", "418 /hints pass"}, got)
}

func TestProxyStreams(t *testing.T) {
	more := make(chan struct{})
	s := start(t, mode(t, "second_verdict", 90), upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-more
		fmt.Fprint(w, "data: 2\n\n")
	}))
	res, err := s.Client().Get(s.URL)
	require.NoError(t, err)
	defer res.Body.Close()
	in := bufio.NewReader(res.Body)
	first, err := in.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "data: 1\n", first, "arrives while the upstream still writes")
	close(more)
	rest, err := io.ReadAll(in)
	require.NoError(t, err)
	assert.Equal(t, "\ndata: 2\n\n", string(rest))
}

func TestProxyUpgrades(t *testing.T) {
	s := start(t, mode(t, "second_verdict", 90), upstream(t, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		rw.Flush()
		io.Copy(conn, rw)
	}))
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\nUser-Agent: test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	assert.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	fmt.Fprint(conn, "hello")
	got := make([]byte, 5)
	_, err = io.ReadFull(in, got)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(got))
	conn.Close()
	s.Close()
}

func TestUpstreamDown(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	u, err := ParseUpstream(gone.URL)
	require.NoError(t, err)
	s := start(t, mode(t, "second_verdict", 90), u)
	res, body := s.get(t, "/", "text/html")
	assert.Equal(t, http.StatusBadGateway, res.StatusCode)
	assert.Contains(t, body, "The site does not answer")
	errs := s.errs.lines(t)
	require.Len(t, errs, 1)
	assert.Equal(t, "upstream does not answer", errs[0]["msg"])
}

// TestUnreadableRequest: Coraza's connector alone would answer 200 here.
func TestUnreadableRequest(t *testing.T) {
	s := start(t, mode(t, "second_verdict", 90), upstream(t, http.NotFound))
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	assert.Equal(t, http.StatusBadRequest, res.StatusCode)
}

func TestLogIsOneLineWhateverIsSent(t *testing.T) {
	var out bytes.Buffer
	h := New(Config{WAF: mode(t, "second_verdict", 3), Access: slog.New(slog.NewTextHandler(&out, nil)), Errors: slog.New(slog.DiscardHandler)})
	method := strings.Repeat("GET", 1000) // net/http lets a client send one of almost a megabyte
	r := httptest.NewRequest(method, "/%0Astatus=200%22"+strings.Repeat("x", 1000)+"?q=%0A<script>alert(1)</script>", nil)
	h.ServeHTTP(httptest.NewRecorder(), r)
	line := out.String()
	assert.Equal(t, 1, strings.Count(line, "\n"))
	assert.Contains(t, line, "status=403 ")
	assert.Contains(t, line, " method="+method[:32]+"… ")
	assert.Contains(t, line, `path="/\nstatus=200\"xxx`)
	assert.Less(t, len(line), 1000)
}

func TestConcurrentRequestsKeepTheirVerdicts(t *testing.T) {
	s := start(t, mode(t, "second_verdict", 3), nil)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			target, want := "/?q=hello", http.StatusOK
			if i%2 == 0 {
				target, want = injection, http.StatusForbidden
			}
			res, err := s.Client().Get(s.URL + target)
			if assert.NoError(t, err) {
				res.Body.Close()
				assert.Equal(t, want, res.StatusCode)
			}
		})
	}
	wg.Wait()
	s.Close()
	transactions := map[any]bool{}
	verdicts := map[any]int{}
	for _, line := range s.access.lines(t) {
		transactions[line["tx"]] = true
		verdicts[fmt.Sprintf("%v %v", line["status"], line["verdict"])]++
	}
	assert.Len(t, transactions, 40)
	assert.Equal(t, map[any]int{"200 pass": 20, "403 deny": 20}, verdicts)
}

func TestParseUpstream(t *testing.T) {
	for _, good := range []string{"http://localhost:3000", "https://app.internal/base"} {
		u, err := ParseUpstream(good)
		require.NoError(t, err)
		assert.Equal(t, good, u.String())
	}
	for _, bad := range []string{"localhost:3000", "/path", "ftp://a", "http://", "http://a?b", "http://u:p@a", "http://a\x00"} {
		_, err := ParseUpstream(bad)
		assert.ErrorContains(t, err, "want such as http://localhost:3000", bad)
	}
}
