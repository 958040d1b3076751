// SPDX-License-Identifier: Apache-2.0

package traffic

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// ParseHTTP reads one HTTP/1.1 request as text, at most [MaxLine] bytes: request line, headers, an empty line, and
// everything after it as the body, as it stands.
//
// It accepts what people keep in files: lines that end in LF alone, empty lines before the request line, a request line
// without a version, a target with blanks in it. Chunked bodies are not taken apart. The row has no label.
func ParseHTTP(r io.Reader) (*Request, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxLine+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("traffic: %w", err)
	case len(text) > MaxLine:
		return nil, fmt.Errorf("traffic: the request is longer than %d MiB", MaxLine>>20)
	}
	text = bytes.TrimLeft(text, "\r\n")
	if len(text) == 0 {
		return nil, errors.New("traffic: the request is empty (want a request line such as: GET /?q=1 HTTP/1.1)")
	}
	line, rest := cutLine(text)
	req := &Request{}
	if req.Method, req.URI, err = requestLine(line); err != nil {
		return nil, err
	}
	for n := 2; len(rest) > 0; n++ {
		if line, rest = cutLine(rest); line == "" {
			break
		}
		last := len(req.Headers) - 1
		if (line[0] == ' ' || line[0] == '\t') && last >= 0 { // an obsolete line folding (RFC 9112, 5.2)
			req.Headers[last][1] = strings.TrimLeft(req.Headers[last][1]+" "+strings.Trim(line, " \t"), " ")
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" {
			return nil, fmt.Errorf("traffic: line %d of the request is no header: %.80q (want Name: value, and an empty line before the body)", n, line)
		}
		req.Headers = append(req.Headers, [2]string{name, strings.Trim(value, " \t")})
	}
	if len(rest) > 0 {
		req.Body = rest
	}
	return req, nil
}

// cutLine splits text after its first line and drops that line's end.
func cutLine(text []byte) (line string, rest []byte) {
	first, rest, _ := bytes.Cut(text, []byte("\n"))
	return string(bytes.TrimSuffix(first, []byte("\r"))), rest
}

func requestLine(line string) (method, uri string, err error) {
	method, uri, _ = strings.Cut(line, " ")
	if i := strings.LastIndexByte(uri, ' '); i >= 0 && strings.HasPrefix(uri[i+1:], "HTTP/") {
		uri = uri[:i]
	}
	if uri = strings.Trim(uri, " "); method == "" || uri == "" || strings.HasPrefix(uri, "HTTP/") {
		return "", "", fmt.Errorf("traffic: %.80q is no request line (want such as: GET /?q=1 HTTP/1.1)", line)
	}
	return method, uri, nil
}

// Build makes the request that curl would send: to the URL (http:// may be left out), with the headers ("Name: value";
// "Name:" takes a header away) and the form data, whose parts are joined with "&". An empty method is GET, or POST with
// data.
func Build(method, rawURL string, headers, data []string) (*Request, error) {
	if strings.HasPrefix(rawURL, "/") {
		rawURL = "localhost" + rawURL
	}
	if scheme, _, ok := strings.Cut(rawURL, "://"); !ok || strings.ContainsAny(scheme, "/?#") {
		rawURL = "http://" + rawURL
	}
	target, err := url.Parse(strings.ReplaceAll(rawURL, " ", "%20"))
	if err != nil {
		return nil, fmt.Errorf("traffic: %w", err)
	}
	if target.Host == "" {
		return nil, fmt.Errorf("traffic: URL %q names no host (want such as http://localhost/?q=1)", rawURL)
	}
	req := &Request{Method: method, URI: target.RequestURI()}
	defaults := [][2]string{{"Host", target.Host}, {"User-Agent", "mlverdict"}, {"Accept", "*/*"}}
	if data != nil {
		req.Body = []byte(strings.Join(data, "&"))
		defaults = append(defaults,
			[2]string{"Content-Length", strconv.Itoa(len(req.Body))},
			[2]string{"Content-Type", "application/x-www-form-urlencoded"})
	}
	if method == "" {
		req.Method = "GET"
		if data != nil {
			req.Method = "POST"
		}
	}
	for _, h := range headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok || name == "" {
			return nil, fmt.Errorf("traffic: header %q (want Name: value)", h)
		}
		defaults = slices.DeleteFunc(defaults, func(h [2]string) bool { return strings.EqualFold(h[0], name) })
		if value = strings.Trim(value, " \t"); value != "" {
			req.Headers = append(req.Headers, [2]string{name, value})
		}
	}
	req.Headers = append(defaults, req.Headers...)
	return req, nil
}
