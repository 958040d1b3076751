// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/mlverdict/mlverdict/internal/augment"
	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/traffic"
)

// skippedRows is the error of rows that could not be used and were named on standard error. All others were.
type skippedRows int64

func (n skippedRows) Error() string {
	if n == 1 {
		return "1 row could not be used; it is named above"
	}
	return fmt.Sprintf("%d rows could not be used; they are named above", int64(n))
}

// eachRecording replays the rows of request files, or finds them in the cache, and hands each to f in order. Rows that
// cannot be used are named on stderr and, after all others were handed over, make a skippedRows. Bare payloads are
// handed over as they are.
func eachRecording(ctx context.Context, cache *replay.Cache, stderr io.Writer, what string, files []string,
	f func(*replay.Recorded)) error {
	reader, err := traffic.Open(files...)
	if err != nil {
		return err
	}
	return eachRow(ctx, cache, stderr, what, reader, f)
}

// eachRow is eachRecording of an open reader, which it closes.
func eachRow(ctx context.Context, cache *replay.Cache, stderr io.Writer, what string, reader *traffic.Reader,
	f func(*replay.Recorded)) error {
	defer reader.Close()
	rows := newRows(reader, stderr, what)
	defer rows.finish()
	for rec := range cache.Recordings(ctx, rows.all(), 0) {
		rows.advance()
		if rec.Err != nil {
			rows.fail(rec.Err)
			continue
		}
		f(&rec)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return rows.err()
}

// eachEmbedded puts up to n of the payloads, drawn by seed, into requests (see [augment.Embedded]), replays them and hands
// each that reaches CRS to f.
func eachEmbedded(ctx context.Context, cache *replay.Cache, payloads, envelopes []*traffic.Request, n int, seed uint64,
	f func(*replay.Recorded)) error {
	embedded := augment.Embedded(payloads, envelopes, n, rand.New(rand.NewPCG(seed, 0)))
	for rec := range cache.Recordings(ctx, firsts(embedded), 0) {
		if rec.Err != nil {
			return rec.Err
		}
		if !rec.Refused {
			f(&rec)
		}
	}
	return ctx.Err()
}

// firsts yields the first of each pair.
func firsts[A, B any](pairs iter.Seq2[A, B]) iter.Seq[A] {
	return func(yield func(A) bool) {
		for a := range pairs {
			if !yield(a) {
				return
			}
		}
	}
}

// rows reads request files with a progress bar and counts what could not be used. Rows are read and replayed on different
// goroutines, and the one that reads may outlive a run that is stopped: after finish it says nothing more.
type rows struct {
	reader   *traffic.Reader
	stderr   io.Writer
	bar      *progressbar.ProgressBar
	failed   atomic.Int64
	saying   sync.Mutex // held to write to stderr
	finished bool
}

func newRows(r *traffic.Reader, stderr io.Writer, what string) *rows {
	bar := newBar(r.Size(), stderr, what, progressbar.OptionShowBytes(true))
	return &rows{reader: r, stderr: stderr, bar: bar}
}

// newBar shows progress up to a total, -1 if unknown. What is no terminal, such as a log, cannot show a bar and gets none.
func newBar(total int64, stderr io.Writer, what string, more ...progressbar.Option) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total, append(more, progressbar.OptionSetWriter(stderr), progressbar.OptionSetVisibility(isTerminal(stderr)),
		progressbar.OptionSetDescription(what), progressbar.OptionShowCount(), progressbar.OptionThrottle(200*time.Millisecond),
		progressbar.OptionClearOnFinish())...)
}

func (r *rows) all() iter.Seq[*traffic.Request] {
	return func(yield func(*traffic.Request) bool) {
		for row, err := range r.reader.Requests() {
			if err != nil {
				r.fail(err)
				continue
			}
			if !yield(row) {
				return
			}
		}
	}
}

func (r *rows) advance() { r.bar.Set64(r.reader.Offset()) }

func (r *rows) finish() {
	r.bar.Finish()
	r.saying.Lock()
	defer r.saying.Unlock()
	r.finished = true
}

func (r *rows) fail(err error) {
	r.failed.Add(1)
	r.saying.Lock()
	defer r.saying.Unlock()
	if !r.finished {
		fmt.Fprintf(r.stderr, "mlverdict: %v\n", err)
	}
}

func (r *rows) err() error {
	if n := r.failed.Load(); n > 0 {
		return skippedRows(n)
	}
	return nil
}
