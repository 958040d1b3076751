// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"
	"strings"
)

// The names of what is compared, as the benchmarks have them.
var (
	requests = []string{"GET", "form-1kB", "JSON-9kB"}
	texts    = []string{"prose", "fields", "identifiers", "attacks"}
	hostile  = []string{"percent", "nested-escapes", "overlong", "punctuation", "brackets", "one-word", "attacks", "random-bytes",
		"values-of-100-bytes", "values-all-matched-by-30-rules"}
	sizes = []string{"100000", "1000000", "10000000"}
)

// report makes the tables out of the measurements.
func report(m *measurements) string {
	return strings.Join([]string{
		musts(m).String(), requestCosts(m).String(), hostileSpeeds(m).String(), sklearn(m),
	}, "\n")
}

// musts holds the measurements against what they must reach.
func musts(m *measurements) *table {
	t := newTable("What must be", "measured", "reached")
	check := func(what, measured string, reached bool) {
		answer := "**no**"
		if reached {
			answer = "yes"
		}
		t.row(what, measured, answer)
	}

	for _, forest := range []struct{ what, name string }{
		{"100 trees, ψ = 256, 48 features", "PathLength/features=48"}, {"the embedded forest, with leaf weights", "Shipped"},
	} {
		fast, flat := m.median(forest.name+"/walk=fast", "ns/op"), m.median(forest.name+"/walk=flat", "ns/op")
		check(forest.what+": a row in at most 3.5 µs, or twice as fast as a straightforward flat walk",
			fmt.Sprintf("%.2f µs, %.1f times as fast", fast/1e3, flat/fast), fast <= 3500 || flat/fast >= 2)
	}
	for _, text := range texts {
		chains, constant := m.median("Scan/text="+text+"/lookup=chains", "MB/s"), m.median("Scan/text="+text+"/lookup=constant", "MB/s")
		check("evidence, "+text+": at least 100 MB/s, or half the speed of the scan whose look-ups return a constant",
			fmt.Sprintf("%.0f MB/s, %.0f %%", chains, 100*chains/constant), chains >= 100 || chains/constant >= 0.5)
	}
	for _, request := range requests {
		crs := m.median(part(request, 1, "crs"), "ns/op")
		judge, operator := m.median(part(request, 1, "judge"), "ns/op"), m.median(part(request, 1, "operator"), "ns/op")
		check("verdict on "+request+": at most 1 % of CRS's own time at paranoia level 1",
			fmt.Sprintf("%.2f %%; with reading the view and setting TX %.2f %%", 100*judge/crs, 100*operator/crs), operator/crs <= 0.01)
		allocations := m.median(part(request, 1, "judge"), "allocs/op")
		check("allocations from view to score, "+request+": 0", fmt.Sprint(allocations), allocations == 0)
	}
	load := m.median("Read", "ns/op")
	check("reading the embedded model: at most 20 ms", fmt.Sprintf("%.1f ms", load/1e6), load <= 20e6)
	train := m.median("Train", "ns/op") * float64(runtime.NumCPU())
	check("growing a forest on 1,000,000 vectors: at most 1 s of a core", fmt.Sprintf("%.2f s", train/1e9), train <= 1e9)
	worst := 0.0
	for _, kind := range hostile {
		worst = max(worst, m.median(speed(kind, sizes[0]), "MB/s")/m.median(speed(kind, sizes[2]), "MB/s"))
	}
	check("time is linear: a byte of 10 MB takes at most twice as long as one of 100 kB, whatever is sent",
		fmt.Sprintf("%.2f times at worst", worst), worst <= 2)
	return t
}

func part(request string, paranoia int, name string) string {
	return fmt.Sprintf("Request/request=%s/paranoia=%d/part=%s", request, paranoia, name)
}

func speed(kind, size string) string { return "Hostile/kind=" + kind + "/bytes=" + size }

// requestCosts tells time and memory of whole transactions and of the parts of ours.
func requestCosts(m *measurements) *table {
	t := newTable("Request, paranoia level", "CRS alone", "with the plugin", "of that the operator", "view", "judge",
		"CRS alone", "with the plugin", "operator")
	for _, request := range requests {
		for _, paranoia := range []int{1, 2} {
			row := []string{fmt.Sprintf("%s, %d", request, paranoia)}
			for _, name := range []string{"crs", "plugin"} {
				row = append(row, fmt.Sprintf("%.2f ms", m.median(part(request, paranoia, name), "ns/op")/1e6))
			}
			for _, name := range []string{"operator", "view", "judge"} {
				row = append(row, fmt.Sprintf("%.1f µs", m.median(part(request, paranoia, name), "ns/op")/1e3))
			}
			for _, name := range []string{"crs", "plugin", "operator"} {
				row = append(row, fmt.Sprintf("%.1f kB, %.0f", m.median(part(request, paranoia, name), "B/op")/1e3,
					m.median(part(request, paranoia, name), "allocs/op")))
			}
			t.row(row...)
		}
	}
	return t
}

// hostileSpeeds shows that no text makes the verdict slower by its length.
func hostileSpeeds(m *measurements) *table {
	t := newTable("Verdict on", "100 kB", "1 MB", "10 MB", "time of a byte, 10 MB : 100 kB")
	for _, kind := range hostile {
		row := []string{strings.ReplaceAll(kind, "-", " ")}
		for _, size := range sizes {
			row = append(row, fmt.Sprintf("%.0f MB/s", m.median(speed(kind, size), "MB/s")))
		}
		t.row(append(row, fmt.Sprintf("%.2f", m.median(speed(kind, sizes[0]), "MB/s")/m.median(speed(kind, sizes[2]), "MB/s")))...)
	}
	return t
}

// sklearn compares with scikit-learn, where it was there.
func sklearn(m *measurements) string {
	const walk = "PathLength/features=48/walk="
	if !m.has(walk + "scikit-learn") {
		return "scikit-learn was not installed."
	}
	fast := m.median(walk+"fast", "ns/op")
	one, many := m.median(walk+"scikit-learn", "ns/op"), m.median(walk+"scikit-learn-4096-rows-at-once", "ns/op")
	return fmt.Sprintf("scikit-learn's IsolationForest of the same size takes %.1f ms for a row (%.0f times as long) and %.0f µs for each of "+
		"4,096 rows handed over at once (%.0f times as long).", one/1e6, one/fast, many/1e3, many/fast)
}
