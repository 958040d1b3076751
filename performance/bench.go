// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/model"
)

// suites are the main module's packages with benchmarks.
var suites = []string{"model/forest", "model/evidence", "model", "operators"}

type benchOptions struct {
	rounds       int
	time         string
	python       string
	into, images string
}

func newBenchCommand() *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "run the benchmarks in turns, hold them against what they must reach, and plot them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().IntVar(&o.rounds, "rounds", 6, "`TIMES` that every benchmark is run; medians are taken")
	cmd.Flags().StringVar(&o.time, "benchtime", "100ms", "least `TIME` for a benchmark in a round")
	cmd.Flags().StringVar(&o.python, "python", "/usr/bin/python3", "`INTERPRETER` that has scikit-learn")
	cmd.Flags().StringVar(&o.images, "images", "", "`FOLDER` for the plots")
	intoFlag(cmd, &o.into)
	return cmd
}

func (o *benchOptions) run(ctx context.Context, out, progress io.Writer) error {
	output, err := o.measure(ctx, progress)
	if err != nil {
		return err
	}
	m, err := parse(output)
	if err != nil {
		return err
	}
	text := o.heading() + "\n" + report(m) + "\n"
	for _, c := range comparisons {
		compared, err := c.benchstat(ctx, output)
		if err != nil {
			return err
		}
		text += compared
	}
	if m.err != nil {
		return m.err
	}
	if o.images != "" {
		if err := plots(m, o.images); err != nil {
			return err
		}
	}
	return publish(out, o.into, "bench", text)
}

// measure runs all benchmarks round by round: what disturbs the machine for a while disturbs all of a round, so that
// ratios hold where times do not.
func (o *benchOptions) measure(ctx context.Context, progress io.Writer) ([]byte, error) {
	folder, err := os.MkdirTemp("", "mlverdict-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	for _, suite := range suites {
		if _, err := command(ctx, "..", "go", "test", "-c", "-o", binary(folder, suite), "./"+suite); err != nil {
			return nil, err
		}
	}
	var output bytes.Buffer
	for round := range o.rounds {
		for _, suite := range suites {
			fmt.Fprintf(progress, "round %d of %d: %s\n", round+1, o.rounds, suite)
			result, err := command(ctx, filepath.Join("..", suite), binary(folder, suite),
				"-test.run", "^$", "-test.bench", ".", "-test.benchtime", o.time, "-test.timeout", "0")
			if err != nil {
				return nil, err
			}
			output.Write(result)
		}
		if result, err := command(ctx, "..", o.python, "scripts/sklearn_forest.py"); err == nil {
			output.Write(result)
		} else if round == 0 {
			fmt.Fprintf(progress, "without scikit-learn: %v\n", err)
		}
	}
	return output.Bytes(), nil
}

func binary(folder, suite string) string {
	return filepath.Join(folder, strings.ReplaceAll(suite, "/", "-")+".test")
}

// command runs a program in a folder and returns what it printed.
func command(ctx context.Context, folder, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = folder
	var errs bytes.Buffer
	cmd.Stderr = &errs
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(args, " "), err, output, &errs)
	}
	return output, nil
}

// heading says where and when it was measured.
func (o *benchOptions) heading() string {
	return fmt.Sprintf("%s, median of %d rounds.%s\n", conditions(), o.rounds, load())
}

// conditions names what was measured on, and with which model.
func conditions() string {
	cpu := "unknown CPU"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(info), "model name"); ok {
			line, _, _ := strings.Cut(rest, "\n")
			cpu = strings.TrimSpace(strings.TrimLeft(line, "\t :"))
		}
	}
	return fmt.Sprintf("%s, %d cores, %s, %s/%s, model %s", cpu, runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH, model.Default().ID())
}

// load tells how busy the machine was otherwise, where that is known.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(text))
	return fmt.Sprintf(" Load average of the last 5 minutes: %s (the measurement alone makes up to %d).", fields[1], runtime.NumCPU())
}

// comparison is a table of benchstat's: some benchmarks, of which one key makes the columns.
type comparison struct{ title, filter, column, unit string }

var comparisons = []comparison{
	{"One row through the forest, by way of walking", ".name:(PathLength OR Shipped)", "/walk", "sec/op"},
	{"Scan of 8 kB of text, by what look-ups return", ".name:Scan", "/lookup", "B/s"},
	{"Parts of a request", ".name:Request", "/part", "sec/op"},
}

func (c comparison) benchstat(ctx context.Context, output []byte) (string, error) {
	file, err := os.CreateTemp("", "mlverdict-bench-*.txt")
	if err != nil {
		return "", err
	}
	defer os.Remove(file.Name())
	if _, err := file.Write(output); err != nil {
		return "", err
	}
	if err := file.Close(); err != nil {
		return "", err
	}
	text, err := command(ctx, ".", "go", "tool", "benchstat", "-col", c.column, "-filter", c.filter+" .unit:"+c.unit, "-ignore", "pkg", file.Name())
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s (benchstat):\n\n```\n%s```\n\n", c.title, text), nil
}
