// SPDX-License-Identifier: Apache-2.0

package replay_test

import (
	"context"
	"iter"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mlverdict/mlverdict/internal/replay"
)

// numbers counts to n, and in taken how far it was asked to.
func numbers(n int, taken *atomic.Int64) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			taken.Add(1)
			if !yield(i) {
				return
			}
		}
	}
}

func TestParallelKeepsOrder(t *testing.T) {
	for _, workers := range []int{-1, 0, 1, 2, 7} {
		var taken atomic.Int64
		// Every even item waits for its odd successor, as far as there is a worker to spare: results arrive out of order.
		done := make([]chan struct{}, 200)
		for i := range done {
			done[i] = make(chan struct{})
		}
		got := slices.Collect(replay.Parallel(t.Context(), numbers(len(done), &taken), workers, func(i int) int {
			if i%2 == 0 && workers > 1 {
				<-done[i+1]
			}
			close(done[i])
			return 10 * i
		}))
		want := make([]int, len(done))
		for i := range want {
			want[i] = 10 * i
		}
		assert.Equal(t, want, got, "%d workers", workers)
	}
}

func TestParallelOfNothing(t *testing.T) {
	var taken atomic.Int64
	assert.Empty(t, slices.Collect(replay.Parallel(t.Context(), numbers(0, &taken), 3, func(i int) int { return i })))
}

// However long the sequence, only a few items are under way.
func TestParallelReadsAheadWithinBounds(t *testing.T) {
	const workers = 3
	var taken atomic.Int64
	seen := int64(0)
	for range replay.Parallel(t.Context(), numbers(10_000, &taken), workers, func(i int) int { return i }) {
		seen++
		assert.LessOrEqual(t, taken.Load()-seen, int64(4*workers+workers+2))
	}
	assert.EqualValues(t, 10_000, seen)
}

func TestParallelStopsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var taken atomic.Int64
	seen := 0
	for range replay.Parallel(ctx, numbers(1_000_000_000, &taken), 2, func(i int) int { return i }) {
		if seen++; seen == 5 {
			cancel()
		}
	}
	assert.Error(t, ctx.Err())
	assert.Less(t, taken.Load(), int64(1000))
}

// What waits for a result that takes for ever is let go, too.
func TestParallelStopsInAnItem(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	release := make(chan struct{})
	defer close(release)
	var taken atomic.Int64
	got := slices.Collect(replay.Parallel(ctx, numbers(10, &taken), 2, func(i int) int {
		if i == 1 {
			cancel()
			<-release
		}
		return i
	}))
	assert.LessOrEqual(t, len(got), 1)
}

func TestParallelStopsWithItsConsumer(t *testing.T) {
	var taken atomic.Int64
	for i := range replay.Parallel(t.Context(), numbers(1_000_000_000, &taken), 2, func(i int) int { return i }) {
		if i == 5 {
			break
		}
	}
	assert.Less(t, taken.Load(), int64(1000))
}
