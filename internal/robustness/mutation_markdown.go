// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mlverdict/mlverdict/internal/mutate"
)

// Markdown writes the report as a section of a page; command is what made it. It quotes no payload.
func (r *MutationReport) Markdown(command string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## Mutation\n\n    %s\n\nwrote this section; do not edit it. Model `%s`, seed %d.\n\n", command, r.Model, r.Seed)
	fmt.Fprintf(&b, "%d attacks that can be mutated, of which Coraza refuses %d. Those that CRS and the model both deny are counted, and how\n", r.Attacks, r.Refused)
	b.WriteString("many of them are still denied by both when mutations that keep what they do have changed them. *Passes CRS*: CRS no longer\n" +
		"denies. *Cleared*: CRS does, the model does not. *Not safer*: the anomaly is as high as before, or higher.\n\n")
	b.WriteString("Random mutations in a row:\n\n")
	r.table(&b, "mutations", RandomMutations, overClasses)
	b.WriteString("\n")
	r.table(&b, "mutations", RandomMutations, byClass)
	b.WriteString("\nEach mutator alone, all levels together:\n\n")
	r.table(&b, "mutator", OneMutator, overLevels)
	b.WriteString("\nEncodings, which work only where the application undoes them:\n\n")
	r.table(&b, "encoding", OneEncoding, overClasses)
	b.WriteString("\nWhat they keep:\n\n| class | mutator | keeps |\n|---|---|---|\n")
	for _, class := range mutate.Classes() {
		for _, m := range mutate.For(class) {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", class, m.Name, strings.ReplaceAll(m.Preserves, "|", `\|`))
		}
	}
	for _, m := range mutate.Encodings() {
		fmt.Fprintf(&b, "| all | %s | %s |\n", m.Name, m.Preserves)
	}
	return b.String()
}

// What the rows of a table are: cells with the same values are added up.
func byClass(c *MutationCell) MutationCell {
	return MutationCell{Variant: c.Variant, Class: c.Class, Level: c.Level}
}
func overLevels(c *MutationCell) MutationCell {
	return MutationCell{Variant: c.Variant, Class: c.Class}
}
func overClasses(c *MutationCell) MutationCell {
	return MutationCell{Variant: c.Variant, Level: c.Level}
}

func (r *MutationReport) table(b *strings.Builder, what, kind string, group func(*MutationCell) MutationCell) {
	var rows []MutationCell
	at := map[MutationCell]int{}
	for i := range r.Cells {
		if c := &r.Cells[i]; c.Kind == kind {
			entry(&rows, at, group(c)).join(c)
		}
	}
	slices.SortStableFunc(rows, func(a, b MutationCell) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Class, b.Class), cmp.Compare(len(a.Variant), len(b.Variant)), cmp.Compare(a.Variant, b.Variant))
	})
	fmt.Fprintf(b, "| PL | class | %s | attacks | kept | passes CRS | cleared | mean score | not safer |\n|---|---|---|--:|--:|--:|--:|--:|--:|\n", what)
	for i := range rows {
		c := &rows[i]
		n := float64(c.Attacks)
		level := "all"
		if c.Level > 0 {
			level = fmt.Sprint(c.Level)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %d | %.1f %% | %d | %d | %.1f → %.1f | %.0f %% |\n", level, cmp.Or(c.Class, "all"), c.Variant, c.Attacks,
			100*float64(c.Kept)/n, c.CRSPasses, c.Cleared, float64(c.Before)/n, float64(c.After)/n, 100*float64(c.NotSafer)/n)
	}
}

func (c *MutationCell) join(o *MutationCell) {
	c.Attacks += o.Attacks
	c.Kept += o.Kept
	c.CRSPasses += o.CRSPasses
	c.Cleared += o.Cleared
	c.Applied += o.Applied
	c.Before += o.Before
	c.After += o.After
	c.NotSafer += o.NotSafer
}
