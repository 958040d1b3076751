// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/evidence"
)

// texts are what values of requests look like. Each is repeated to the length that a benchmark wants.
var texts = []struct{ name, text string }{
	{"prose", "It was late when the ferry came in, and nobody on the quay had thought of bringing a lamp. " +
		"We carried the boxes up by hand; the smallest of them, she said later, held nothing but letters. "},
	{"fields", "page=2&sort=price_asc&size=42&color=dark-blue&utm_source=newsletter&ref=home%2Fsummer%20sale&qty=1&"},
	{"identifiers", "9f86d081-884c-4d65-9a2f-eaa0c55ad015.GA1.2.1735689600.eyJhbGciOiJIUzI1NiJ9_x7Qm2LkWv0ZtRrB4 "},
	{"attacks", "1' UNION SELECT name, password FROM users WHERE id=1 OR 1=1-- <script>alert(document.cookie)</script> "},
}

// BenchmarkScan measures a scan by the embedded model's chains per byte of text, beside the same scan by chains that know
// nothing: what is left of it when every look-up returns a constant.
func BenchmarkScan(b *testing.B) {
	none, err := evidence.DecodeChains(make([]byte, 8)) // no n-grams, no classes
	require.NoError(b, err)
	for _, text := range texts {
		value := strings.Repeat(text.text, 8192/len(text.text)+1)[:8192]
		for _, chains := range []struct {
			name string
			*evidence.Chains
		}{{"constant", none}, {"chains", model.Default().Parts().Chains}} {
			b.Run("text="+text.name+"/lookup="+chains.name, func(b *testing.B) {
				var s evidence.Scanner
				chains.Scan(&s, value)
				b.SetBytes(int64(len(value)))
				b.ReportAllocs()
				for b.Loop() {
					chains.Scan(&s, value)
				}
			})
		}
	}
}
