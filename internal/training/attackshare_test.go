// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/augment"
	"github.com/mlverdict/mlverdict/internal/synthetic"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/model"
)

// attacksOf makes requests that carry a payload of the classes, each at a place and under a name of its own, or, as
// of a scanner, all in the parameter q.
func attacksOf(n int, seed uint64, scattered bool, classes ...string) (list []*traffic.Request) {
	if !scattered {
		for r := range synthetic.Attacks(5*n, seed) {
			if slices.Contains(classes, r.Class) && len(list) < n {
				list = append(list, r)
			}
		}
		return list
	}
	var payloads []*traffic.Request
	for r := range synthetic.Payloads(5*n, seed) {
		if slices.Contains(classes, r.Class) {
			payloads = append(payloads, r)
		}
	}
	for r := range augment.Embedded(payloads, slices.Collect(synthetic.Benign(50, 99)), n, rand.New(rand.NewPCG(seed, 0))) {
		list = append(list, r)
	}
	return list
}

// kept is what a model denies, in percent, of attacks that CRS denies at paranoia level 2.
func kept(b *testing.B, m *model.Model, attacks []*traffic.Request) float64 {
	denied, flagged := 0, 0
	var d model.Verdict
	for _, row := range attacks {
		v := record(b, row).View.AtParanoia(2)
		if !v.Denied() {
			continue
		}
		denied++
		require.NoError(b, m.Judge(&v, &d))
		if d.Score <= 50 {
			flagged++
		}
	}
	return 100 * float64(flagged) / float64(denied)
}

// BenchmarkAttackShare adapts the embedded model to made-up traffic of which a share is SQL injection, and reports what
// the model then denies, at the default threshold, of other SQL injections and of other kinds of attacks.
// docs/tuning.md has the table.
func BenchmarkAttackShare(b *testing.B) {
	const requests = 1000
	for _, scattered := range []bool{true, false} {
		mixed := attacksOf(requests/10, 1, scattered, "sqli")
		same, others := attacksOf(150, 2, scattered, "sqli"), attacksOf(150, 3, scattered, "xss", "rce")
		for _, perMille := range []int{0, 1, 10, 50, 100} {
			b.Run(fmt.Sprintf("scattered=%v/attacks=%.1f%%", scattered, float64(perMille)/10), func(b *testing.B) {
				s := summary(b, slices.Concat(slices.Collect(synthetic.Benign(requests-perMille, 1)), mixed[:perMille])...)
				var m *model.Model
				for b.Loop() {
					m = adapt(b, s)
				}
				b.ReportMetric(kept(b, m, same), "%same-kind")
				b.ReportMetric(kept(b, m, others), "%other-kinds")
			})
		}
	}
}
