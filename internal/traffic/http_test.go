// SPDX-License-Identifier: Apache-2.0

package traffic

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseHTTP(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want Request
	}{
		"a form": {
			"POST /a?b=c HTTP/1.1\r\nHost: example.com\r\nx-ODD:\tv \r\nHost: two\r\n\r\nq=1\r\n",
			Request{Method: "POST", URI: "/a?b=c", Headers: [][2]string{{"Host", "example.com"}, {"x-ODD", "v"}, {"Host", "two"}}, Body: []byte("q=1\r\n")},
		},
		"LF alone": {
			"\n\nGET / HTTP/1.0\nHost: a\n\nbody\n\nmore",
			Request{Method: "GET", URI: "/", Headers: [][2]string{{"Host", "a"}}, Body: []byte("body\n\nmore")},
		},
		"only a request line": {"GET /", Request{Method: "GET", URI: "/"}},
		"no empty line":       {"GET / HTTP/1.1\nHost: a", Request{Method: "GET", URI: "/", Headers: [][2]string{{"Host", "a"}}}},
		"blanks in target":    {"GET /?q=1 or 1 HTTP/1.1\n", Request{Method: "GET", URI: "/?q=1 or 1"}},
		"HTTP/ in target":     {"GET /?q=what HTTP/1.1 is", Request{Method: "GET", URI: "/?q=what HTTP/1.1 is"}},
		"folded header":       {"GET / HTTP/1.1\nCookie: a=1;\n  b=2\n\n", Request{Method: "GET", URI: "/", Headers: [][2]string{{"Cookie", "a=1; b=2"}}}},
		"absolute target":     {"GET http://a/b HTTP/1.1\n\n", Request{Method: "GET", URI: "http://a/b"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseHTTP(strings.NewReader(tc.text))
			require.NoError(t, err)
			assert.Equal(t, &tc.want, got)
		})
	}
}

func TestParseHTTPRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":     {"\r\n", "the request is empty"},
		"one word":    {"GET\n", `"GET" is no request line (want such as: GET /?q=1 HTTP/1.1)`},
		"no target":   {"GET HTTP/1.1\n", "is no request line"},
		"no header":   {"GET / HTTP/1.1\nHost: a\n{\"a\"}\n", `line 3 of the request is no header: "{\"a\"}"`},
		"no name":     {"GET / HTTP/1.1\n: a\n", "line 2 of the request is no header"},
		"a row":       {`{"label":"benign"}`, "is no request line"},
		"a lone fold": {"GET / HTTP/1.1\n x\n", "line 2 of the request is no header"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseHTTP(strings.NewReader(tc.text))
			assert.ErrorContains(t, err, tc.want)
		})
	}
	_, err := ParseHTTP(neverEnding('x'))
	assert.ErrorContains(t, err, "longer than 64 MiB")
}

func TestBuild(t *testing.T) {
	const ua = "mlverdict"
	for name, tc := range map[string]struct {
		method, url   string
		headers, data []string
		want          Request
	}{
		"host and path": {
			url:  "localhost:8080/a?id=1' or 1#top",
			want: Request{Method: "GET", URI: "/a?id=1'%20or%201", Headers: [][2]string{{"Host", "localhost:8080"}, {"User-Agent", ua}, {"Accept", "*/*"}}},
		},
		"path alone": {
			url: "/?q=http://b", method: "DELETE",
			want: Request{Method: "DELETE", URI: "/?q=http://b", Headers: [][2]string{{"Host", "localhost"}, {"User-Agent", ua}, {"Accept", "*/*"}}},
		},
		"form": {
			url: "https://a.example", data: []string{"a=1", "b=2"},
			want: Request{Method: "POST", URI: "/", Body: []byte("a=1&b=2"), Headers: [][2]string{{"Host", "a.example"}, {"User-Agent", ua}, {"Accept", "*/*"},
				{"Content-Length", "7"}, {"Content-Type", "application/x-www-form-urlencoded"}}},
		},
		"headers": {
			url: "a", headers: []string{"host: b", "User-Agent:", "X: 1", "X:2"},
			want: Request{Method: "GET", URI: "/", Headers: [][2]string{{"Accept", "*/*"}, {"host", "b"}, {"X", "1"}, {"X", "2"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Build(tc.method, tc.url, tc.headers, tc.data)
			require.NoError(t, err)
			assert.Equal(t, &tc.want, got)
		})
	}
	_, err := Build("", "http:///path", nil, nil)
	assert.ErrorContains(t, err, "names no host")
	_, err = Build("", "http://a/%zz\x00", nil, nil)
	assert.ErrorContains(t, err, "traffic: ")
	_, err = Build("", "a", []string{"no colon"}, nil)
	assert.ErrorContains(t, err, `header "no colon" (want Name: value)`)
}

// FuzzParseHTTP: no text panics, and a request that net/http accepts is read in the same way here.
func FuzzParseHTTP(f *testing.F) {
	f.Add([]byte("POST /a?b=c HTTP/1.1\r\nHost: example.com\r\nContent-Length: 3\r\n\r\nq=1"))
	f.Add([]byte("GET / HTTP/1.1\nHost: a\nX: 1\n  2\nx: 3\n\n"))
	f.Add([]byte("\n\nGET /?q= HTTP/1.1 \n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := ParseHTTP(bytes.NewReader(text))
		if err == nil {
			assert.NotEmpty(t, got.Method)
			assert.NotEmpty(t, got.URI)
		}
		want, refused := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
		if refused != nil {
			return
		}
		require.NoError(t, err)
		assert.Equal(t, want.Method, got.Method)
		assert.Equal(t, want.RequestURI, got.URI)
		header := make(http.Header)
		for _, h := range got.Headers {
			header.Add(h[0], h[1])
		}
		// What net/http takes out of the headers or adds to them.
		for _, name := range []string{"Host", "Transfer-Encoding", "Trailer", "Content-Length", "Cache-Control"} {
			header.Del(name)
			want.Header.Del(name)
		}
		assert.Equal(t, want.Header, header)
	})
}
