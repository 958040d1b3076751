// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Markdown writes the report as a section of a page; command is what made it. It quotes no payload.
func (r *PaddingReport) Markdown(command string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## Padding\n\n    %s\n\nwrote this section; do not edit it. Model `%s`, seed %d.\n\n", command, r.Model, r.Seed)
	fmt.Fprintf(&b, "Payloads of attacks, half of them at most %d bytes long where the class has such, with text of six kinds before, after and\n"+
		"around them. Only those that CRS and the model both deny without the text are counted:\n\n", Short)
	b.WriteString("| PL | class | payloads | short | denied bare |\n|---|---|--:|--:|--:|\n")
	for i := range r.Bare {
		c := &r.Bare[i]
		fmt.Fprintf(&b, "| %d | %s | %d | %d | %d |\n", c.Level, c.Class, c.Attacks, c.Short, c.Denied)
	}
	b.WriteString("\nThe model's part, on views: the padded text stands in the payload's place, and CRS's matches are those of the bare payload.\n" +
		"What CRS itself makes of the padded text is not in these figures. Share still denied, mean change of the score (up is safer\n" +
		"for the attacker) and the largest one.\n\n")
	r.table(&b, "payloads", func(c *PaddingCell) PaddingCell { return PaddingCell{Class: c.Class, Size: c.Size, Level: c.Level} },
		func(c *PaddingCell) string { return c.Class })
	b.WriteString("\n")
	r.table(&b, "length", func(c *PaddingCell) PaddingCell { return PaddingCell{Short: c.Short, Size: c.Size, Level: c.Level} },
		func(c *PaddingCell) string {
			if c.Short {
				return fmt.Sprintf("at most %d bytes", Short)
			}
			return "longer"
		})
	b.WriteString("\n")
	r.table(&b, "text", func(c *PaddingCell) PaddingCell { return PaddingCell{Text: c.Text, Size: c.Size, Level: c.Level} },
		func(c *PaddingCell) string { return c.Text })
	b.WriteString("\n")
	r.table(&b, "place", func(c *PaddingCell) PaddingCell { return PaddingCell{Place: c.Place, Size: c.Size, Level: c.Level} },
		func(c *PaddingCell) string { return c.Place })
	r.wholeTable(&b)
	return b.String()
}

func (r *PaddingReport) table(b *strings.Builder, what string, group func(*PaddingCell) PaddingCell, name func(*PaddingCell) string) {
	var cells []PaddingCell
	at := map[PaddingCell]int{}
	var sizes []int
	for i := range r.Views {
		c := &r.Views[i]
		sum := entry(&cells, at, group(c))
		sum.Tried += c.Tried
		sum.Denied += c.Denied
		sum.Change += c.Change
		sum.Most = max(sum.Most, c.Most)
		if !slices.Contains(sizes, c.Size) {
			sizes = append(sizes, c.Size)
		}
	}
	slices.SortStableFunc(cells, func(a, b PaddingCell) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(name(&a), name(&b)), cmp.Compare(a.Size, b.Size))
	})
	fmt.Fprintf(b, "| PL | %s |", what)
	for _, size := range sizes {
		fmt.Fprintf(b, " %d kB |", size/1000)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("--:|", len(sizes)))
	for i := range cells {
		c := &cells[i]
		if i%len(sizes) == 0 {
			fmt.Fprintf(b, "\n| %d | %s |", c.Level, name(c))
		}
		fmt.Fprintf(b, " %.1f %%, %+.1f, %+d |", 100*float64(c.Denied)/float64(c.Tried), float64(c.Change)/float64(c.Tried), c.Most)
	}
	b.WriteString("\n")
}

func (r *PaddingReport) wholeTable(b *strings.Builder) {
	if len(r.Whole) == 0 {
		return
	}
	b.WriteString("\nWhole: the padded form goes through CRS and the model. *Padding alone* tells who denies the text without a payload: where both\n" +
		"do, the denial of a payload in it proves nothing. *Refused*: by Coraza itself.\n\n")
	b.WriteString("| PL | text | kB | payloads | refused | CRS denies | both deny | padding alone |\n|---|---|--:|--:|--:|--:|--:|---|\n")
	for i := range r.Whole {
		c := &r.Whole[i]
		alone := "passes"
		switch {
		case c.Alone:
			alone = "both deny"
		case c.CRSAlone:
			alone = "CRS denies"
		}
		fmt.Fprintf(b, "| %d | %s | %d | %d | %d | %d | %d | %s |\n", c.Level, c.Text, c.Size/1000, c.Tried, c.Refused, c.CRS, c.Denied, alone)
	}
}
