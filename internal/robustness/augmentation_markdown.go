// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"fmt"
	"strings"

	"github.com/mlverdict/mlverdict/model/request"
)

// Markdown writes the report as a section of a page; command is what made it. It quotes no payload.
func (r *AugmentationReport) Markdown(command string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## Before and after augmentation\n\n    %s\n\nwrote this section; do not edit it. Before: model `%s`; after: model `%s`; seed %d.\n\n",
		command, r.Before, r.After, r.Seed)
	b.WriteString("*Before* is a model that was trained on rows alone, *after* one that learned from made-up texts, too (docs/augmentation.md).\n" +
		"Both answer the same texts and requests. *denied*: by CRS and by the model at its default threshold; *classes*: in mode `ml_only`, of\n" +
		"the article's classes on requests of just these, and of all. Padding, mutations and the search count what the same model denied\n" +
		"before, so the two models' bases differ. ↓: lower is better, and in brackets stands by how much it changes. A dash: nothing to count.\n\n")
	b.WriteString("| part | figure |")
	for level := 1; level <= request.ParanoiaLevels; level++ {
		fmt.Fprintf(&b, " paranoia level %d |", level)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("--:|", request.ParanoiaLevels) + "\n")
	for i := 0; i < len(r.Figures); {
		first := &r.Figures[i]
		var cells [request.ParanoiaLevels]string
		for ; i < len(r.Figures) && r.Figures[i].Part == first.Part && r.Figures[i].What == first.What; i++ {
			cells[r.Figures[i].Level-1] = r.Figures[i].String()
		}
		arrow := "↑"
		if first.Unit == BadShare {
			arrow = "↓"
		}
		fmt.Fprintf(&b, "| %s | %s %s | %s |\n", first.Part, first.What, arrow, strings.Join(cells[:], " | "))
	}
	return b.String()
}

// String writes both figures, and of a share that should be low by how much it changes.
func (f *Figure) String() string {
	text := f.Before.in(f.Unit) + " → " + f.After.in(f.Unit)
	if f.Unit == BadShare && f.Before.Value > 0 && f.After.Of > 0 {
		text += fmt.Sprintf(" (%+.0f %%)", 100*(f.After.Value/f.Before.Value-1))
	}
	return text
}

func (m Measure) in(unit Unit) string {
	switch {
	case m.Of == 0:
		return "–"
	case unit == Score:
		return fmt.Sprintf("%.3f", m.Value)
	case m.Value < 0.01:
		return percent(m.Value)
	}
	return fmt.Sprintf("%.1f %%", 100*m.Value)
}
