// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"context"
	"iter"
	"runtime"
)

// Parallel applies f to the items of in on as many goroutines as workers says (0 = one a core) and yields the results
// in the items' order. It reads ahead of the consumer by a bounded number of items, so memory does not grow with
// the sequence. It ends early when ctx is done; the caller then finds ctx.Err() set.
func Parallel[T, R any](ctx context.Context, in iter.Seq[T], workers int, f func(T) R) iter.Seq[R] {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	return func(yield func(R) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		type job struct {
			item T
			done chan R
		}
		jobs := make(chan job)
		order := make(chan chan R, 4*workers)
		go func() {
			defer close(jobs)
			defer close(order)
			for item := range in {
				j := job{item, make(chan R, 1)}
				select {
				case order <- j.done:
				case <-ctx.Done():
					return
				}
				select {
				case jobs <- j:
				case <-ctx.Done():
					return
				}
			}
		}()
		for range workers {
			go func() {
				for j := range jobs {
					j.done <- f(j.item)
				}
			}()
		}
		for done := range order {
			select {
			case r := <-done:
				if !yield(r) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}
