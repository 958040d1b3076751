// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"

	"github.com/corazawaf/coraza/v3"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/mlverdict/mlverdict/internal/synthetic"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/verdict"
	"github.com/mlverdict/mlverdict/internal/waf"
)

type soakOptions struct {
	requests int
	into     string
}

func newSoakCommand() *cobra.Command {
	var o soakOptions
	cmd := &cobra.Command{
		Use:   "soak",
		Short: "send many requests through one WAF, and look whether memory grows",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().IntVar(&o.requests, "requests", 1_000_000, "`NUMBER` of requests")
	intoFlag(cmd, &o.into)
	return cmd
}

// points is how often memory is looked at.
const points = 10

// tolerance is by how much the heap in use may differ between the first look and the last: what caches and pools hold
// at one moment or another.
const tolerance = 2 << 20

func (o *soakOptions) run(ctx context.Context, out, progress io.Writer) error {
	before := heap()
	alone, err := waf.New(waf.Config{Paranoia: 1})
	if err != nil {
		return err
	}
	crs := heap() - before
	w, err := waf.New(waf.Config{Paranoia: 1, Plugin: true, Mode: "detect"}) // which asks the model about every request
	if err != nil {
		return err
	}
	both := heap() - before
	runtime.KeepAlive(alone)
	text := fmt.Sprintf("%s. A WAF with CRS alone holds %s, a second one with the plugin and its model %s more. %d requests through "+
		"the second one, in mode detect at paranoia level 1, %d at a time, each another text, every tenth an attack:\n\n",
		machine(), megabytes(crs), megabytes(both-crs), o.requests, runtime.NumCPU())
	t := newTable("requests", "heap in use", "objects", "goroutines", "resident at most")
	var first, last uint64
	for point := range points {
		if err := soak(ctx, w, point, o.requests/points); err != nil {
			return err
		}
		last = heap()
		if point == 0 {
			first = last
		}
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		t.row(fmt.Sprint((point+1)*o.requests/points), megabytes(last), fmt.Sprint(stats.HeapObjects),
			fmt.Sprint(runtime.NumGoroutine()), resident())
		fmt.Fprintf(progress, "%d of %d: %s\n", (point+1)*o.requests/points, o.requests, megabytes(last))
	}
	if err := publish(out, o.into, "soak", text+t.String()); err != nil {
		return err
	}
	if last > first+tolerance {
		return fmt.Errorf("the heap grew from %s to %s", megabytes(first), megabytes(last))
	}
	return nil
}

// soak sends requests from all cores. No two of them are the same, nor those of two points.
func soak(ctx context.Context, w coraza.WAF, point, requests int) error {
	workers, ctx := errgroup.WithContext(ctx)
	for worker := range runtime.NumCPU() {
		workers.Go(func() error {
			rng := rand.New(rand.NewPCG(uint64(point), uint64(worker)))
			for i := range requests / runtime.NumCPU() {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if err := ask(w, small(rng, i%10 == 0)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return workers.Wait()
}

// small is a request that costs CRS little.
func small(rng *rand.Rand, attack bool) *traffic.Request {
	text := fmt.Sprintf("%x %d", rng.Uint64(), rng.IntN(1000))
	if attack {
		for r := range synthetic.Payloads(1, rng.Uint64()) {
			text = r.Payload
		}
	}
	return &traffic.Request{Method: http.MethodGet, URI: "/?q=" + url.QueryEscape(text),
		Headers: [][2]string{{"Host", "shop.example"}, {"User-Agent", "Mozilla/5.0"}, {"Accept", "*/*"}}}
}

// ask takes a request through a transaction and makes sure that the model answered.
func ask(w coraza.WAF, r *traffic.Request) error {
	tx := w.NewTransaction()
	defer tx.Close()
	if _, err := r.Replay(tx); err != nil {
		return err
	}
	tx.ProcessLogging()
	if v := verdict.Of(tx); v.ML.Score == 0 {
		return fmt.Errorf("the model gave no score for %s: %s", r.URI, v.ML.Error)
	}
	return nil
}

// heap is the heap in use, in bytes, without garbage. What finalizers and pools still hold takes a second collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func megabytes(bytes uint64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

// resident is the most memory that this process ever had, where the system tells it.
func resident() string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "unknown"
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}
