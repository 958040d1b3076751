// SPDX-License-Identifier: Apache-2.0

//go:build !race

// Under the race detector sync.Pool forgets at random, so that allocations say nothing there.

package operators_test

import (
	"testing"

	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/request"
	"github.com/mlverdict/mlverdict/operators"
)

// From view to score nothing is allocated after warm-up. Reading the view and setting the TX variables allocate what
// Coraza's own calls do (FindAll copies a collection, Set keeps a slice), so many times and no more.
func TestAllocations(t *testing.T) {
	o, err := operators.New(plugintypes.OperatorOptions{Arguments: "50"})
	require.NoError(t, err)
	for _, m := range measured {
		t.Run(m.name, func(t *testing.T) {
			_, tx := asked(t, 1, m.request)
			var view request.View
			reading := testing.AllocsPerRun(20, func() { view.Read(tx, 12) })
			var d model.Verdict
			judging := testing.AllocsPerRun(20, func() { _ = model.Default().Judge(&view, &d) })
			all := testing.AllocsPerRun(20, func() {
				forgetVerdict(tx)
				o.Evaluate(tx, "")
			})
			assert.LessOrEqual(t, reading, 24.0, "reading the view")
			assert.Zero(t, judging, "from view to score")
			assert.LessOrEqual(t, all-reading, 18.0, "setting the TX variables")
		})
	}
}
