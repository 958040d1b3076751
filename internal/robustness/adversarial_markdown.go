// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"fmt"
	"strings"
)

// Markdown writes the report as a section of a page; command is what made it. It quotes no payload.
func (r *AdversarialReport) Markdown(command string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## Adversarial search\n\n    %s\n\nwrote this section; do not edit it. Model `%s`, seed %d.\n\n", command, r.Model, r.Seed)
	fmt.Fprintf(&b, "A search in the manner of WAF-A-MoLE (Demetrio, Valenza, Costa and Lagorio, 2020) for mutations that pass, with at most %d\n"+
		"queries for an attack; each is a transaction with CRS, whose score and the model's anomaly guide it. *Passes bare*: not denied as\n"+
		"it is. *Evades*: a mutated payload that does the same is not denied. *Cleared*: of these, CRS still denies it and the model\n"+
		"clears it; the others are where they would be without the model.\n\n", r.Budget)
	b.WriteString("| defence | class | attacks | passes bare | evades | of those denied | cleared | holds | queries |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, total := range r.totals() {
		for i := range r.Cells {
			if c := &r.Cells[i]; c.Defence == total.Defence {
				c.row(&b)
			}
		}
		total.row(&b)
	}
	return b.String()
}

// totals adds up the classes, a cell for each defence.
func (r *AdversarialReport) totals() (list []AdversarialCell) {
	at := map[AdversarialCell]int{}
	for i := range r.Cells {
		c := &r.Cells[i]
		total := entry(&list, at, AdversarialCell{Defence: c.Defence, Class: "all"})
		total.Attacks += c.Attacks
		total.Passes += c.Passes
		total.Evades += c.Evades
		total.ByModel += c.ByModel
		total.Queries += c.Queries
	}
	return list
}

func (c *AdversarialCell) row(b *strings.Builder) {
	denied := c.Attacks - c.Passes
	share := "–"
	if denied > 0 {
		share = fmt.Sprintf("%.1f %%", 100*float64(c.Evades)/float64(denied))
	}
	fmt.Fprintf(b, "| %s | %s | %d | %d | %d | %s | %d | %d | %d |\n", c.Defence, c.Class, c.Attacks, c.Passes, c.Evades, share, c.ByModel,
		denied-c.Evades, c.Queries)
}
