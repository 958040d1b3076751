// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Line is a line of a summary.
type Line struct{ Name, Text string }

// Summary tells the verdict and both scores in a few lines. Nothing of the request is in it but the reason, which is
// escaped.
func (v *Verdict) Summary() []Line {
	decision := string(v.Decision)
	if v.Denied {
		decision += fmt.Sprintf(" (status %d, rule %d)", v.Status, v.Rule)
	}
	if v.Decision == Engine { // before CRS added anything up
		return []Line{{"verdict", decision}}
	}
	lines := []Line{{"verdict", decision}, {"CRS score", fmt.Sprintf("%d (denies from %d)", v.CRS.Score, v.CRS.Threshold)}}
	switch {
	case v.ML.Error != "":
		return append(lines, Line{"ML score", "none: " + v.ML.Error})
	case v.ML.Score == 0:
		return append(lines, Line{"ML score", "not asked (--mode ml_only always asks)"})
	}
	var classes []string
	for _, class := range slices.Sorted(maps.Keys(v.ML.Classes)) {
		classes = append(classes, fmt.Sprintf("%s %d", class, v.ML.Classes[class]))
	}
	return append(lines,
		Line{"ML score", fmt.Sprintf("%d of 1..99, low is an attack (flags up to %d)", v.ML.Score, v.ML.Threshold)},
		Line{"class", v.ML.Class}, Line{"class scores", strings.Join(classes, ", ")},
		Line{"reason", v.ML.Reason}, Line{"model", v.ML.Model})
}
