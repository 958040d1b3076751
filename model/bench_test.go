// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/request"
)

// BenchmarkJudge measures the embedded model's verdict, from view to score, on requests of growing size.
func BenchmarkJudge(b *testing.B) {
	for _, bench := range []struct {
		name string
		view *request.View
	}{
		{"GET with 4 arguments", page(4, 12)},
		{"form of 1 kB", page(8, 128)},
		{"JSON of 9 kB", page(300, 30)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			m := model.Default()
			var d model.Verdict
			require.NoError(b, m.Judge(bench.view, &d))
			b.ReportAllocs()
			for b.Loop() {
				_ = m.Judge(bench.view, &d)
			}
		})
	}
}

// page is a view of a browser's request with n arguments of so many bytes, the first of which CRS flagged.
func page(n, length int) *request.View {
	v := &request.View{Method: "GET", Paranoia: 1, Limit: 5, Earned: [4]int{5}}
	v.Values = append(v.Values, request.Value{Place: request.Query, Name: "id", Text: "1' UNION SELECT password FROM users--"})
	v.Matches = []request.Match{{Rule: 942100, Paranoia: 1, Score: 5, Spans: []request.Span{{Lo: 0, Hi: 1}}}}
	text := strings.Repeat("the quick brown fox, item=12 & more; ", length/37+1)[:length]
	for range n - 1 {
		v.Values = append(v.Values, request.Value{Place: request.Form, Name: "name", Text: text})
	}
	for name, values := range waftest.Get("/").Header {
		v.Values = append(v.Values, request.Value{Place: request.Header, Name: strings.ToLower(name), Text: values[0]})
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
