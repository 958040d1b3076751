// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/request"
)

// prose is text as people write it into forms.
const prose = "It was late when the ferry came in, and nobody on the quay had thought of bringing a lamp. " +
	"We carried the boxes up by hand; the smallest of them, she said later, held nothing but letters. "

// repeated is a text over and over, so many bytes of it.
func repeated(text string, bytes int) string { return strings.Repeat(text, bytes/len(text)+1)[:bytes] }

// flagged is a view with a SQL injection, which a rule names, and with values in a form's fields.
func flagged(values ...string) *request.View {
	v := &request.View{Method: "POST", Paranoia: 1, Limit: 5, Earned: [4]int{5}}
	v.Values = append(v.Values, request.Value{Place: request.Query, Name: "id", Text: "1' UNION SELECT password FROM users--"})
	v.Matches = []request.Match{{Rule: 942100, Paranoia: 1, Score: 5, Spans: []request.Span{{Lo: 0, Hi: 1}}}}
	for _, text := range values {
		v.Values = append(v.Values, request.Value{Place: request.Form, Name: "text", Text: text})
	}
	return v
}

func judge(b *testing.B, v *request.View) {
	bytes := 0
	for _, x := range v.Values {
		bytes += len(x.Text)
	}
	m := model.Default()
	var d model.Verdict
	require.NoError(b, m.Judge(v, &d))
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	for b.Loop() {
		_ = m.Judge(v, &d)
	}
}

// BenchmarkBody measures the embedded model's verdict, from view to score, on bodies of growing size.
func BenchmarkBody(b *testing.B) {
	for bytes := 1_000; bytes <= 10_000_000; bytes *= 10 {
		b.Run(fmt.Sprintf("bytes=%d", bytes), func(b *testing.B) { judge(b, flagged(repeated(prose, bytes))) })
	}
}

// BenchmarkMatches does so for a growing number of rules that matched, each on two values.
func BenchmarkMatches(b *testing.B) {
	for _, matches := range []int{1, 3, 10, 30, 100, 300} {
		v := flagged("two", "three")
		for i := range matches - 1 {
			v.Matches = append(v.Matches, request.Match{Rule: 942101 + i, Paranoia: 1, Score: 5, Spans: []request.Span{{Lo: 1, Hi: 3}}})
		}
		b.Run(fmt.Sprintf("matches=%d", matches), func(b *testing.B) { judge(b, v) })
	}
}

// BenchmarkHostile does so for what is made to be slow. Where the speed does not depend on the size, the time is linear.
func BenchmarkHostile(b *testing.B) {
	for _, bytes := range []int{100_000, 1_000_000, 10_000_000} {
		for _, hostile := range []struct {
			name string
			view *request.View
		}{
			{"percent", flagged(repeated("%25", bytes))},
			{"nested-escapes", flagged(repeated("&amp;#x25;3c", bytes))},
			{"overlong", flagged(repeated("\xc0\xaf\xc1\x81", bytes))},
			{"punctuation", flagged(repeated("'\"(){}[]<>;--/*", bytes))},
			{"brackets", flagged(repeated("[", bytes))},
			{"one-word", flagged(repeated("a", bytes))},
			{"attacks", flagged(repeated("1' or 1=1 union select password from users-- <script>alert(1)</script> ", bytes))},
			{"random-bytes", flagged(random(bytes))},
			{"values-of-100-bytes", flagged(chunks(repeated(prose, bytes), 100)...)},
			{"values-all-matched-by-30-rules", everywhere(flagged(chunks(repeated(prose, bytes), 100)...), 30)},
		} {
			b.Run(fmt.Sprintf("kind=%s/bytes=%d", hostile.name, bytes), func(b *testing.B) { judge(b, hostile.view) })
		}
	}
}

func random(bytes int) string {
	rng := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, bytes)
	for i := range text {
		text[i] = byte(rng.Uint32())
	}
	return string(text)
}

func chunks(text string, size int) (parts []string) {
	for ; len(text) > size; text = text[size:] {
		parts = append(parts, text[:size])
	}
	return append(parts, text)
}

// everywhere has rules match every value.
func everywhere(v *request.View, rules int) *request.View {
	for i := range rules {
		v.Matches = append(v.Matches, request.Match{Rule: 942101 + i, Paranoia: 1, Score: 5,
			Spans: []request.Span{{Lo: 0, Hi: int32(len(v.Values))}}})
	}
	return v
}

// BenchmarkRead measures what a model costs at start-up.
func BenchmarkRead(b *testing.B) {
	file := model.Default().Bytes()
	for b.Loop() {
		if _, err := model.Read(file); err != nil {
			b.Fatal(err)
		}
	}
}
