// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"
)

// measurements are the values of benchmarks, by name without the number of processors, and unit.
type measurements struct {
	values map[string]map[string][]float64
	err    error // of the first benchmark that was asked for and is missing
}

// parse reads Go's benchmark format.
func parse(output []byte) (*measurements, error) {
	m := &measurements{values: map[string]map[string][]float64{}}
	reader := benchfmt.NewReader(bytes.NewReader(output), "bench.txt")
	for reader.Scan() {
		switch record := reader.Result().(type) {
		case *benchfmt.Result:
			m.add(record)
		case *benchfmt.SyntaxError:
			return nil, record
		}
	}
	return m, reader.Err()
}

func (m *measurements) add(r *benchfmt.Result) {
	name := withoutProcs(r.Name)
	if m.values[name] == nil {
		m.values[name] = map[string][]float64{}
	}
	for _, v := range r.Values {
		value, unit := v.Value, v.Unit
		if v.OrigUnit != "" { // benchfmt turns ns/op into sec/op and MB/s into B/s
			value, unit = v.OrigValue, v.OrigUnit
		}
		m.values[name][unit] = append(m.values[name][unit], value)
	}
}

// withoutProcs cuts off the number of processors that Go appends to a name.
func withoutProcs(name benchfmt.Name) string {
	base, parts := name.Parts()
	text := string(base)
	for _, part := range parts {
		if part[0] == '/' {
			text += string(part)
		}
	}
	return text
}

// median returns the median of a benchmark's values in a unit. One that is missing is an error that err keeps.
func (m *measurements) median(name, unit string) float64 {
	values := m.values[name][unit]
	if len(values) == 0 {
		if m.err == nil {
			m.err = fmt.Errorf("no benchmark gave %s of %s", unit, name)
		}
		return 0
	}
	sample := benchmath.NewSample(values, &benchmath.DefaultThresholds)
	return benchmath.AssumeNothing.Summary(sample, 0.95).Center
}

func (m *measurements) has(name string) bool { return m.values[name] != nil }

// table is one of Markdown.
type table struct{ strings.Builder }

func newTable(header ...string) *table {
	t := &table{}
	t.row(header...)
	fmt.Fprint(t, "|---|", strings.Repeat("--:|", len(header)-1), "\n")
	return t
}

func (t *table) row(cells ...string) { fmt.Fprintf(t, "| %s |\n", strings.Join(cells, " | ")) }
