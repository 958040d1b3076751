// SPDX-License-Identifier: Apache-2.0

package scoreboard

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// Read reads a result that was written before.
func Read(path string) (*Result, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("scoreboard: %w (want the JSON that mlverdict scoreboard -o writes)", err)
	}
	var r Result
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("scoreboard: %s: %w (want the JSON that mlverdict scoreboard -o writes)", path, err)
	}
	if r.Format != Format {
		return nil, fmt.Errorf("scoreboard: %s has format %q (want %q: run mlverdict scoreboard again)", path, r.Format, Format)
	}
	return &r, nil
}

// Keep takes over the contenders of a former result on the same data that this one does not have: those that take
// other software than this to measure.
func (r *Result) Keep(former *Result) error {
	if !slices.EqualFunc(r.Rows, former.Rows, func(a, b Row) bool {
		return a.Level == b.Level && a.Set == b.Set && a.Label == b.Label && a.Class == b.Class && a.Part == b.Part &&
			a.Requests == b.Requests && a.CRS == b.CRS
	}) {
		return fmt.Errorf("scoreboard: the result to keep figures of was measured on other data (model %s): measure it again", former.Model.ID)
	}
	for _, c := range former.Contenders {
		if slices.ContainsFunc(r.Contenders, func(own Described) bool { return own.Name == c.Name }) {
			continue
		}
		c.Doc += ", measured with model " + former.Model.ID
		r.Contenders = append(r.Contenders, c)
		for i := range r.Rows {
			r.Rows[i].Contenders[c.Name] = former.Rows[i].Contenders[c.Name]
		}
		for i := range r.Tuning {
			r.Tuning[i].Cuts[c.Name] = former.Tuning[i].Cuts[c.Name]
		}
		for _, curve := range former.Curves {
			if curve.Contender == c.Name {
				r.Curves = append(r.Curves, curve)
			}
		}
	}
	slices.SortStableFunc(r.Curves, func(a, b Curve) int { return cmp.Compare(a.Level, b.Level) })
	return nil
}
