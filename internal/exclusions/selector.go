// SPDX-License-Identifier: Apache-2.0

package exclusions

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mlverdict/mlverdict/model/request"
)

// maxSelector bounds the names that are written, in bytes: longer ones are texts that a parser took for a name.
const maxSelector = 64

// Selector writes the name of an argument, cookie or header so that it can stand behind a variable's colon and means
// that name alone, in any case, as Coraza compares names. Names come from the network: one that is more than letters,
// digits and "_-." becomes a pattern in which every other character is written as its code. A name that is empty, not
// UTF-8 or longer than 64 bytes is refused.
func Selector(name string) (selector string, ok bool) {
	if !selectable(name) {
		return "", false
	}
	name = strings.ToLower(name)
	if strings.IndexFunc(name, func(c rune) bool { return !plain(c) }) < 0 {
		return name, true
	}
	return pattern(name, false), true
}

// Numbered writes a pattern for the names that differ from this one in their numbers only, such as the elements of a
// list in JSON. It refuses what [Selector] refuses, and names without numbers or with less than three letters.
func Numbered(name string) (selector string, ok bool) {
	digits, letters := 0, 0
	for _, c := range name {
		switch {
		case digit(c):
			digits++
		case plain(c) && c != '.' && c != '_' && c != '-':
			letters++
		}
	}
	if !selectable(name) || digits == 0 || letters < 3 {
		return "", false
	}
	return pattern(strings.ToLower(name), true), true
}

func selectable(name string) bool {
	return name != "" && len(name) <= maxSelector && utf8.ValidString(name)
}

func digit(c rune) bool { return '0' <= c && c <= '9' }

// plain reports whether a character means itself behind a colon.
func plain(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || digit(c) || c == '_' || c == '-' || c == '.'
}

// pattern writes a regular expression without any character that SecLang or Coraza's reader of targets knows: quotes,
// slashes, blanks, bars, line breaks. Coraza may turn it into lower case, so it must hold no upper case.
func pattern(name string, numbered bool) string {
	var b strings.Builder
	b.WriteString("/^")
	last := rune(0)
	for _, c := range name {
		switch {
		case numbered && digit(c):
			if !digit(last) {
				b.WriteString(`\d+`)
			}
		case c == '.':
			b.WriteString(`\.`)
		case plain(c):
			b.WriteRune(c)
		default:
			fmt.Fprintf(&b, `\x{%x}`, c)
		}
		last = c
	}
	b.WriteString("$/")
	return b.String()
}

// Narrow lists the targets of a rule that cover the values from first to last, the narrowest last: the kind of variable, the variable's
// name with any numbers, the very name.
func Narrow(rule int, first, last *request.Value) []Exclusion {
	kind, name := kindFor(rule, first), first.Name
	if kind == "" {
		return nil
	}
	list := []Exclusion{{Rule: rule, Kind: kind}}
	switch {
	case kind == "header" && first.Place == request.Cookie: // the rule reads the header that holds all cookies
		return []Exclusion{{Rule: rule, Kind: kind, Selector: "cookie"}}
	case first.Place == request.Name:
		name = first.Text
	}
	if first.Name != last.Name || !selected[kind] {
		return list
	}
	for _, write := range []func(string) (string, bool){Numbered, Selector} {
		if s, ok := write(name); ok {
			list = append(list, Exclusion{rule, kind, s})
		}
	}
	return list
}

// selected are the kinds of variables that have names to select by.
var selected = map[string]bool{"args": true, "names": true, "cookie": true, "header": true}

// kindFor is the kind of variable by which a rule of CRS read a value. Empty if no target of the rule covers it: a rule
// that reads the same text as an argument and as a part of something greater goes on matching there.
func kindFor(rule int, x *request.Value) string {
	var kind string
	for _, way := range waysTo[x.Place] {
		if !reads(rule, way) {
			continue
		}
		if kind != "" {
			return ""
		}
		kind = way.kind
	}
	return kind
}

// way is a way in which rules come to the values of a place.
type way struct {
	kind      string
	variables []string // nil: those of the kind
}

var waysTo = map[request.Place][]way{
	request.Path:   {{"path", nil}},
	request.Query:  {{"args", nil}, {"path", []string{"REQUEST_URI", "REQUEST_URI_RAW", "REQUEST_LINE"}}, {"query", nil}},
	request.Form:   {{"args", nil}, {"body", nil}},
	request.Name:   {{"names", nil}},
	request.Cookie: {{"cookie", nil}, {"header", []string{"REQUEST_HEADERS:Cookie"}}},
	request.Header: {{"header", nil}},
	request.File:   {{"file", nil}},
	request.XML:    {{"xml", nil}},
	request.Body:   {{"body", nil}},
}

// reads reports whether a rule goes a way. Nothing is known of a rule that the embedded CRS does not have: it is taken to
// go the first way.
func reads(rule int, w way) bool {
	r, known := crsRules()[rule]
	if !known {
		return w.variables == nil && w.kind != "query"
	}
	if w.variables == nil {
		return len(variables(Exclusion{Rule: rule, Kind: w.kind})) > 0
	}
	return slices.ContainsFunc(w.variables, func(v string) bool { return slices.Contains(r.variables, v) })
}

// Unnamed reports whether a counting match of a view stands under a name that cannot be written.
func Unnamed(v *request.View) bool {
	for i := range v.Matches {
		if m := &v.Matches[i]; v.Counts(m) && slices.ContainsFunc(m.Spans, func(s request.Span) bool {
			x := &v.Values[s.Lo]
			return selected[kindFor(m.Rule, x)] && x.Name != "" && !selectable(x.Name)
		}) {
			return true
		}
	}
	return false
}
