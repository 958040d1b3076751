// SPDX-License-Identifier: Apache-2.0

// Package robustness tries a model on text made to mislead it. Each suite has a file of its own; what they write goes into
// sections of one page.
package robustness

import (
	"fmt"
	"strings"
)

// Put replaces the section of a page that a suite wrote before, between two comments, or adds it at the end.
func Put(page, suite, text string) string {
	begin, end := fmt.Sprintf("<!-- %s: begin -->\n", suite), fmt.Sprintf("<!-- %s: end -->\n", suite)
	section := begin + text + end
	if before, rest, found := strings.Cut(page, begin); found {
		if _, after, closed := strings.Cut(rest, end); closed {
			return before + section + after
		}
	}
	if page != "" {
		page = strings.TrimRight(page, "\n") + "\n\n"
	}
	return page + section
}
