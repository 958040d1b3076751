// SPDX-License-Identifier: Apache-2.0

//go:build !race

// Under the race detector sync.Pool forgets at random, so that allocations say nothing there.

package model_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/features"
)

func TestJudgeDoesNotAllocate(t *testing.T) {
	plain := small(t, features.Verdict)
	for _, m := range []*model.Model{plain, ofSite(t, plain)} {
		v := view()
		var d model.Verdict
		require.NoError(t, m.Judge(v, &d))
		assert.Zero(t, testing.AllocsPerRun(100, func() { _ = m.Judge(v, &d) }))
	}
}
