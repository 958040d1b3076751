// SPDX-License-Identifier: Apache-2.0

package explanation

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of what is quoted, in bytes before escaping.
const (
	maxName    = 60
	maxContext = 80
	maxText    = 400
)

// escape makes text from a request safe for a terminal and a page: what does not print, changes the direction of
// writing or is no UTF-8 is written as in a Go string.
func escape(text string) string {
	quoted := strconv.Quote(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`) // a backslash itself is \\
}

// cutEnd escapes the beginning of a text. It is cut between characters.
func cutEnd(text string, limit int) string {
	if len(text) <= limit {
		return escape(text)
	}
	end := limit
	for end > 0 && limit-end < utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return escape(text[:end]) + "…"
}

// cutStart escapes the end of a text. It is cut between characters.
func cutStart(text string, limit int) string {
	if len(text) <= limit {
		return escape(text)
	}
	rest := text[len(text)-limit:]
	from := 0
	for from < len(rest) && from < utf8.UTFMax && !utf8.RuneStart(rest[from]) {
		from++
	}
	return "…" + escape(rest[from:])
}
