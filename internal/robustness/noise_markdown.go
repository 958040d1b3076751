// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"fmt"
	"strconv"
	"strings"
)

// Markdown writes the report as a section of a page; command is what made it.
func (r *NoiseReport) Markdown(command string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## Noise\n\n    %s\n\nwrote this section; do not edit it. Model `%s`, seed %d.\n\n", command, r.Model, r.Seed)
	b.WriteString("Share of texts that score 50 or less, and the upper 95 % bound of the true share (Clopper–Pearson).\n\n")
	b.WriteString("| family | what it is | texts, alone | flagged | at most | requests, whole | CRS denies | both deny | at most |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for i := range r.Families {
		f := &r.Families[i]
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %s | %d | %d | %s | %s |\n", f.Family, f.Doc, f.Alone.Texts, f.Alone.share(), f.Alone.bound(),
			f.Whole.Texts, f.CRS, f.Whole.share(), f.Whole.bound())
	}
	b.WriteString("\nThe worst texts, judged alone, with the rule that matched each:\n\n| family | score | rule | text |\n|---|--:|--:|---|\n")
	for i := range r.Families {
		for _, t := range r.Families[i].Worst {
			fmt.Fprintf(&b, "| %s | %d | %d | `%s` |\n", r.Families[i].Family, t.Score, t.Rule, quote(t.Text))
		}
	}
	return b.String()
}

func (r *Rate) share() string {
	if r.Texts == 0 {
		return "–"
	}
	return fmt.Sprintf("%d (%s)", r.Flagged, percent(r.Rate))
}

func (r *Rate) bound() string {
	if r.Texts == 0 {
		return "–"
	}
	return percent(r.Bound)
}

// percent shows two digits that count.
func percent(share float64) string {
	return strconv.FormatFloat(100*share, 'g', 2, 64) + " %"
}

// quote escapes a text for code in a table, and cuts it.
func quote(text string) string {
	const longest = 100
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if b.Len() >= longest {
			b.WriteString("…")
			break
		}
		switch c := text[i]; {
		case c < ' ', c > '~', c == '`', c == '|', c == '\\':
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
