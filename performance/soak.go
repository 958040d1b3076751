// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
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
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/request"
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

// tolerance is by how much the heap in use may grow between the first look and the last: what caches and pools hold at
// one moment or another.
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
	text := fmt.Sprintf("%s. A WAF with CRS alone holds %s, a second one with the plugin and its model %s more.\n\n",
		conditions(), megabytes(crs), megabytes(both-crs))

	judged, judgedGrowth := measureMemory(ctx, progress, judgements, func(rng *rand.Rand, attack bool) error {
		return judge(small(rng, attack))
	})
	text += fmt.Sprintf("%d verdicts of the model alone, from view to score, each on another text, every tenth an attack:\n\n%s\n", judgements, judged)
	asked, askedGrowth := measureMemory(ctx, progress, o.requests, func(rng *rand.Rand, attack bool) error {
		return ask(w, small(rng, attack))
	})
	text += fmt.Sprintf("%d requests through the WAF with the plugin in mode detect, %d at a time:\n\n%s", o.requests, runtime.NumCPU(), asked)
	if err := errors.Join(judgedGrowth, askedGrowth); err != nil {
		return err
	}
	return publish(out, o.into, "soak", text)
}

// judgements is how often the model alone is asked.
const judgements = 1_000_000

// measureMemory calls do so many times from all cores, each time with other random numbers, and looks at memory meanwhile.
func measureMemory(ctx context.Context, progress io.Writer, times int, do func(rng *rand.Rand, attack bool) error) (*table, error) {
	t := newTable("done", "heap in use", "objects", "goroutines", "resident at most")
	var first, last uint64
	for point := range points {
		if err := soak(ctx, point, times/points, do); err != nil {
			return nil, err
		}
		last = heap()
		if point == 0 {
			first = last
		}
		done := (point + 1) * times / points
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		t.row(fmt.Sprint(done), megabytes(last), fmt.Sprint(stats.HeapObjects), fmt.Sprint(runtime.NumGoroutine()), resident())
		fmt.Fprintf(progress, "%d of %d: %s\n", done, times, megabytes(last))
	}
	if last > first+tolerance {
		return t, fmt.Errorf("the heap grew from %s to %s", megabytes(first), megabytes(last))
	}
	return t, nil
}

// soak does something from all cores. No two workers and no two points draw the same numbers.
func soak(ctx context.Context, point, times int, do func(rng *rand.Rand, attack bool) error) error {
	workers, ctx := errgroup.WithContext(ctx)
	for worker := range runtime.NumCPU() {
		workers.Go(func() error {
			rng := rand.New(rand.NewPCG(uint64(point), uint64(worker)))
			for i := range times / runtime.NumCPU() {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if err := do(rng, i%10 == 0); err != nil {
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

// judge has the embedded model judge the values of a request.
func judge(r *traffic.Request) error {
	v := request.View{Method: r.Method, Paranoia: 1, Limit: 5, Values: []request.Value{{Place: request.Query, Name: "q", Text: r.URI}}}
	for _, h := range r.Headers {
		v.Values = append(v.Values, request.Value{Place: request.Header, Name: strings.ToLower(h[0]), Text: h[1]})
	}
	var d model.Verdict
	return model.Default().Judge(&v, &d)
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
