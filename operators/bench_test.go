// SPDX-License-Identifier: Apache-2.0

package operators_test

import (
	"fmt"
	"testing"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/features"
	"github.com/mlverdict/mlverdict/model/request"
	"github.com/mlverdict/mlverdict/operators"
)

// BenchmarkRequest measures what a request that CRS flags costs: a whole transaction with CRS alone (part=crs) and with
// the plugin (part=plugin), and of the plugin's share the operator (part=operator), reading the view (part=view), the
// evidence and features (part=extract) and the verdict, from view to score (part=judge).
func BenchmarkRequest(b *testing.B) {
	for _, m := range measured {
		for _, paranoia := range []int{1, 2} {
			b.Run(fmt.Sprintf("request=%s/paranoia=%d", m.name, paranoia), func(b *testing.B) {
				alone := waftest.New(b, func(c *waf.Config) { c.Paranoia, c.Plugin = paranoia, false })
				both, tx := asked(b, paranoia, m.request)
				b.Run("part=crs", func(b *testing.B) { transactions(b, alone, m.request) })
				b.Run("part=plugin", func(b *testing.B) { transactions(b, both, m.request) })
				b.Run("part=operator", func(b *testing.B) { evaluations(b, tx) })
				ourParts(b, tx)
			})
		}
	}
}

func transactions(b *testing.B, w coraza.WAF, r *traffic.Request) {
	b.ReportAllocs()
	for b.Loop() {
		tx := w.NewTransaction()
		if _, err := r.Replay(tx); err != nil {
			b.Fatal(err)
		}
		tx.ProcessLogging()
		tx.Close()
	}
}

// evaluations asks the operator again and again: it is made to forget that it has judged in this phase.
func evaluations(b *testing.B, tx plugintypes.TransactionState) {
	o, err := operators.New(plugintypes.OperatorOptions{Arguments: "50"})
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		forgetVerdict(tx)
		o.Evaluate(tx, "")
	}
}

func forgetVerdict(tx plugintypes.TransactionState) { tx.Variables().TX().Remove("ml_judged") }

func ourParts(b *testing.B, tx plugintypes.TransactionState) {
	var view request.View
	m := model.Default()
	b.Run("part=view", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			view.Read(tx, 12)
		}
	})
	view.Read(tx, 12)
	b.Run("part=extract", func(b *testing.B) {
		x := features.Extractor{Schema: m.Parts().Schema, Chains: m.Parts().Chains, Rules: m.Parts().Rules}
		var s features.Scratch
		b.ReportAllocs()
		for b.Loop() {
			x.Extract(&s, &view)
		}
	})
	b.Run("part=judge", func(b *testing.B) {
		var d model.Verdict
		b.ReportAllocs()
		for b.Loop() {
			_ = m.Judge(&view, &d)
		}
	})
}
