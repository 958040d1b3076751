// SPDX-License-Identifier: Apache-2.0

package features

import (
	"math"
	"strings"

	"github.com/mlverdict/mlverdict/model/request"
)

// Thesis is the rival to beat: 26 statistics of a request's shape, as in F. Gilliéron's master thesis (EPFL, 2021),
// whose public summary names their kinds: the hour, lengths of path and arguments, shares of upper case, digits and
// special characters, entropy, keywords of injections. The choice of the 26 is ours. "Arguments" are query and body
// arguments, names left out, and a body that nothing parsed.
var Thesis = &Schema{
	Name: "thesis-26/1",
	Features: []Feature{
		{"hour", "hour of the day, 0–23"},
		{"path_length", "bytes of the path"},
		{"path_depth", "slashes in the path"},
		{"path_special", "share of the path's bytes that are neither letters, digits nor slashes"},
		{"path_entropy", "entropy of the path's bytes, bits"},
		{"query_length", "bytes of the query string"},
		{"body_length", "bytes of the body"},
		{"arg_count", "number of arguments"},
		{"arg_length", "bytes of all arguments"},
		{"arg_longest", "bytes of the longest argument"},
		{"name_longest", "bytes of the longest argument name"},
		{"header_count", "number of headers"},
		{"header_length", "bytes of all header values"},
		{"cookie_length", "bytes of all cookies"},
		{"arg_upper", "share of upper-case letters in the arguments"},
		{"arg_lower", "share of lower-case letters"},
		{"arg_digit", "share of digits"},
		{"arg_special", "share of printable ASCII that is neither letter nor digit nor blank"},
		{"arg_blank", "share of blanks and control bytes"},
		{"arg_high", "share of bytes above 0x7F"},
		{"arg_entropy", "entropy of the arguments' bytes, bits"},
		{"arg_quotes", "number of quotes, single, double and backward"},
		{"keywords_sql", "occurrences of keywords of SQL injection"},
		{"keywords_script", "occurrences of keywords of cross-site scripting"},
		{"keywords_shell", "occurrences of keywords of command injection"},
		{"keywords_file", "occurrences of keywords of file inclusion"},
	},
}

func init() { Thesis.extract = extractThesis }

// keywords of injections, in lower case, in the order of the schema.
var keywords = [4][]string{
	{"select", "union", "insert", "update", "delete", "drop", "where", " or ", " and ", "sleep(", "--", "/*", "information_schema"},
	{"<script", "javascript:", "onerror", "onload", "onclick", "alert(", "document.", "<img", "<svg", "<iframe", "eval("},
	{"/bin/", "cmd.exe", "powershell", "wget ", "curl ", "cat ", "`", "$(", "&&", "||", "; "},
	{"../", "..\\", "/etc/", "passwd", "boot.ini", "php://", "file://", "http://", ".htaccess", "win.ini"},
}

// bytesOf gathers byte frequencies.
type bytesOf struct {
	freq  [256]int
	total int
}

func (b *bytesOf) add(text string) {
	for i := 0; i < len(text); i++ {
		b.freq[text[i]]++
	}
	b.total += len(text)
}

// share of the bytes that a predicate holds for; 0 without bytes.
func (b *bytesOf) share(is func(byte) bool) float64 {
	n := 0
	for c, k := range b.freq {
		if is(byte(c)) {
			n += k
		}
	}
	return float64(n) / float64(max(b.total, 1))
}

// entropy in bits per byte, 0..8 (Shannon 1948).
func (b *bytesOf) entropy() float64 {
	h := 0.0
	for _, k := range b.freq {
		if k > 0 {
			p := float64(k) / float64(b.total)
			h -= p * math.Log2(p)
		}
	}
	return h
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isBlank(c byte) bool { return c <= ' ' || c == 0x7F }
func isHigh(c byte) bool  { return c > 0x7F }
func isSpecial(c byte) bool {
	return !isUpper(c) && !isLower(c) && !isDigit(c) && !isBlank(c) && !isHigh(c)
}

func extractThesis(_ *Extractor, s *Scratch, v *request.View) {
	var path, args bytesOf
	var count, longest, longestName, headers, headerLength, cookieLength, slashes int
	var hits [4]int
	for i := range v.Values {
		x := &v.Values[i]
		switch x.Place {
		case request.Path:
			path.add(x.Text)
			slashes = strings.Count(x.Text, "/")
		case request.Header:
			headers++
			headerLength += len(x.Text)
		case request.Cookie:
			cookieLength += len(x.Text)
		case request.Query, request.Form, request.Body, request.XML:
			count++
			args.add(x.Text)
			longest = max(longest, len(x.Text))
			longestName = max(longestName, len(x.Name))
			countKeywords(&hits, x.Text)
		}
	}
	quotes := args.freq['\''] + args.freq['"'] + args.freq['`']
	vector := [...]float64{
		float64(v.Hour),
		float64(path.total), float64(slashes), path.share(func(c byte) bool { return isSpecial(c) && c != '/' }), path.entropy(),
		float64(v.Query), float64(v.Size),
		float64(count), float64(args.total), float64(longest), float64(longestName),
		float64(headers), float64(headerLength), float64(cookieLength),
		args.share(isUpper), args.share(isLower), args.share(isDigit), args.share(isSpecial), args.share(isBlank), args.share(isHigh),
		args.entropy(), float64(quotes),
		float64(hits[0]), float64(hits[1]), float64(hits[2]), float64(hits[3]),
	}
	for i, f := range vector {
		s.Vector[i] = float32(f)
	}
}

func countKeywords(hits *[4]int, text string) {
	text = strings.ToLower(text)
	for kind, words := range keywords {
		for _, word := range words {
			hits[kind] += strings.Count(text, word)
		}
	}
}
