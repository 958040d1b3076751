// SPDX-License-Identifier: Apache-2.0

package mutate

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
)

// htmlMutators keep the document that a browser builds, or add to it what does not matter. The tests hold them to it
// with an HTML parser.
var htmlMutators = []Mutator{
	htmlMutator("html-case", "the document: names of elements and attributes are the same in either case", editHTMLCase),
	htmlMutator("html-blank", "the document: another blank, or a slash, between attributes", editHTMLBlank),
	htmlMutator("html-quote", "the document: an attribute's value in other quotes", editHTMLQuote),
	htmlMutator("html-entity", "the document: a character reference in an attribute's value", editHTMLEntity),
	htmlMutator("html-attribute", "the scripts of the document: one more attribute that does nothing", editHTMLAttribute),
	htmlMutator("html-words", "the scripts of the document: words behind the last tag", editHTMLWords),
	htmlMutator("html-element", "the script that runs by itself while the page loads: in another element", editHTMLElement),
	htmlMutator("html-javascript-url", "where the URL leads: browsers drop tabs and line breaks, and the scheme is the same in either case", editJavaScriptURL),
}

func htmlMutator(name, preserves string, edits func(string, *rand.Rand) []edit) Mutator {
	return Mutator{name, "xss", preserves, one(edits)}
}

// A start tag with its end, and an attribute within it: blank, name, and what stands behind the name, if anything.
var (
	startTag  = regexp.MustCompile(`<([a-zA-Z][a-zA-Z0-9]*)((?:[\s/](?:[^<>"'` + "`" + `]|"[^"<>]*"|'[^'<>]*')*)?)>`)
	attribute = regexp.MustCompile(`([\s/]+)([a-zA-Z][a-zA-Z0-9-]*)(?:(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'=<>` + "`" + `]+))?`)
	endTag    = regexp.MustCompile(`</([a-zA-Z][a-zA-Z0-9]*)>`)
)

// htmlAttribute is an attribute in a payload; the fields are places in it.
type htmlAttribute struct {
	lo             int // of the blank before it
	nameLo, nameHi int
	lo2, hi        int    // its value with quotes; equal where it has none
	quote          byte   // around the value, 0 = none
	name, value    string // without quotes
}

// htmlTag is a start tag in a payload.
type htmlTag struct {
	lo, hi, nameHi int
	name           string
	attributes     []htmlAttribute
}

// htmlTags lists the start tags that can be read with certainty: not those in the text of a script or the like.
func htmlTags(payload string) (tags []htmlTag) {
	at := 0
	for {
		m := startTag.FindStringSubmatchIndex(payload[at:])
		if m == nil {
			return tags
		}
		for i := range m {
			m[i] += at
		}
		t := htmlTag{lo: m[0], hi: m[1], nameHi: m[3], name: strings.ToLower(payload[m[2]:m[3]])}
		if attributes, ok := htmlAttributes(payload[m[4]:m[5]], m[4]); ok {
			t.attributes = attributes
			tags = append(tags, t)
		}
		at = m[1]
		if isRawText(t.name) {
			end := strings.Index(strings.ToLower(payload[at:]), "</"+t.name)
			if end < 0 {
				return tags
			}
			at += end
		}
	}
}

// isRawText reports whether the element's content is no markup.
func isRawText(name string) bool {
	switch name {
	case "script", "style", "textarea", "title", "noscript", "noembed", "iframe", "xmp", "noframes", "plaintext":
		return true
	}
	return false
}

// htmlAttributes reads all of a tag's text behind its name, false if some of it is no plain attribute.
func htmlAttributes(text string, offset int) (list []htmlAttribute, ok bool) {
	at := 0
	for at < len(text) && strings.Trim(text[at:], "/ \t\r\n\f") != "" {
		m := attribute.FindStringSubmatchIndex(text[at:])
		if m == nil || m[0] != 0 {
			return nil, false
		}
		a := htmlAttribute{lo: offset + at, nameLo: offset + at + m[4], nameHi: offset + at + m[5], name: text[at+m[4] : at+m[5]]}
		a.lo2, a.hi = a.nameHi, a.nameHi
		if m[8] >= 0 {
			a.lo2, a.hi, a.value = offset+at+m[8], offset+at+m[9], text[at+m[8]:at+m[9]]
			if c := a.value[0]; c == '"' || c == '\'' {
				a.quote, a.value = c, a.value[1:len(a.value)-1]
			}
		}
		list = append(list, a)
		at += m[1]
	}
	return list, true
}

func editHTMLCase(payload string, rng *rand.Rand) (edits []edit) {
	for _, t := range htmlTags(payload) {
		edits = append(edits, edit{t.lo + 1, t.nameHi, flipCase(payload[t.lo+1:t.nameHi], rng)})
		for _, a := range t.attributes {
			edits = append(edits, edit{a.nameLo, a.nameHi, flipCase(payload[a.nameLo:a.nameHi], rng)})
		}
	}
	for _, m := range endTag.FindAllStringSubmatchIndex(payload, -1) {
		edits = append(edits, edit{m[2], m[3], flipCase(payload[m[2]:m[3]], rng)})
	}
	return edits
}

func editHTMLBlank(payload string, rng *rand.Rand) (edits []edit) {
	for _, t := range htmlTags(payload) {
		for i, a := range t.attributes {
			blank := pick(rng, "\t", "\n", "\f", "\r\n", "  ", "\n\n\t")
			if quoted := i == 0 || t.attributes[i-1].quote != 0; quoted && rng.IntN(2) == 0 {
				blank = pick(rng, "/", " / ", "//")
			}
			edits = append(edits, edit{a.lo, a.nameLo, blank})
			if a.quote != 0 {
				edits = append(edits, edit{a.nameHi, a.lo2, pick(rng, " = ", "\n=", "=\t")})
			}
		}
	}
	return edits
}

func editHTMLQuote(payload string, _ *rand.Rand) (edits []edit) {
	for _, t := range htmlTags(payload) {
		for i, a := range t.attributes {
			if a.lo2 == a.hi {
				continue
			}
			for _, quote := range []string{`"`, `'`} {
				if !strings.Contains(a.value, quote) && outside(payload, t) {
					edits = append(edits, edit{a.lo2, a.hi, quote + a.value + quote})
				}
			}
			last := i == len(t.attributes)-1
			if a.quote != 0 && a.value != "" && !strings.ContainsAny(a.value, " \t\r\n\f\"'=<>`") && !strings.HasSuffix(a.value, "/") &&
				(!last || payload[a.hi] == '>') && (last || isBlank(payload[a.hi])) {
				edits = append(edits, edit{a.lo2, a.hi, a.value})
			}
		}
	}
	return edits
}

// outside reports whether a tag surely stands outside of an attribute of the page around it: there, any quote will do.
func outside(payload string, t htmlTag) bool {
	return strings.HasPrefix(payload, "<") || strings.Contains(payload[:t.lo], ">")
}

func editHTMLEntity(payload string, rng *rand.Rand) (edits []edit) {
	for _, t := range htmlTags(payload) {
		for _, a := range t.attributes {
			lo := a.hi - len(a.value)
			if a.quote != 0 {
				lo--
			}
			for i := range len(a.value) {
				if c := a.value[i]; c > ' ' && c < 0x7f && c != '&' && !inReference(a.value, i) {
					edits = append(edits, edit{lo + i, lo + i + 1, pick(rng,
						fmt.Sprintf("&#%d;", c), fmt.Sprintf("&#x%x;", c), fmt.Sprintf("&#X%X;", c), fmt.Sprintf("&#%07d;", c))})
				}
			}
		}
	}
	return edits
}

// inReference reports whether a byte of an attribute's value may be part of a character reference.
func inReference(value string, i int) bool {
	start := strings.LastIndexByte(value[:i], '&')
	return start >= 0 && !strings.ContainsAny(value[start:i], "; (),=")
}

func editHTMLAttribute(payload string, rng *rand.Rand) (edits []edit) {
	for _, t := range htmlTags(payload) {
		name := fmt.Sprintf("data-%s%d", pick(rng, everyday...), rng.IntN(100))
		edits = append(edits, edit{t.nameHi, t.nameHi, " " + name + "=" + words(rng, "-") + " "})
	}
	return edits
}

func editHTMLWords(payload string, rng *rand.Rand) (edits []edit) {
	end := strings.LastIndexByte(payload, '>') + 1
	if tags := htmlTags(payload); len(tags) == 0 || end == 0 || isRawText(openAt(payload, tags)) ||
		strings.Trim(payload[end:], " ") != "" && !isWords(payload[end:]) {
		return nil
	}
	return []edit{{len(payload), len(payload), " " + words(rng, " ")}}
}

// openAt returns the name of the last tag, if nothing closes it: what follows would be its content.
func openAt(payload string, tags []htmlTag) string {
	last := tags[len(tags)-1]
	if strings.Contains(strings.ToLower(payload[last.hi:]), "</"+last.name+">") {
		return ""
	}
	return last.name
}

func isWords(text string) bool {
	for _, c := range []byte(text) {
		if !isLetter(c) && c != ' ' {
			return false
		}
	}
	return true
}

// Elements whose handler runs by itself while the page loads, %s being the script.
var selfRunning = []string{
	`<svg onload="%s">`, `<img src=x onerror="%s">`, `<body onload="%s">`, `<details open ontoggle="%s">`,
	`<input autofocus onfocus="%s">`, `<video><source onerror="%s"></video>`, `<audio src=x onerror="%s"></audio>`,
	`<iframe onload="%s"></iframe>`,
}

var (
	wholeScript  = regexp.MustCompile(`(?i)<script\s*>([^<>"&]+)</script\s*>`)
	wholeHandler = regexp.MustCompile(`(?i)<(?:svg|body)\s+onload="([^<>"&]+)"\s*>|<img\s+src=x\s+onerror="?([^<>"&\s]+)"?\s*/?>`)
)

// editHTMLElement leaves alone what asks for the element that it runs in.
func editHTMLElement(payload string, rng *rand.Rand) (edits []edit) {
	for _, form := range []*regexp.Regexp{wholeScript, wholeHandler} {
		for _, m := range form.FindAllStringSubmatchIndex(payload, -1) {
			lo, hi := m[2], m[3]
			if lo < 0 {
				lo, hi = m[4], m[5]
			}
			script := payload[lo:hi]
			if strings.Contains(payload[:m[0]], "<") || strings.Contains(script, "this") || strings.Contains(script, "event") ||
				strings.Contains(script, "document.write") || strings.Contains(script, "//") {
				continue
			}
			edits = append(edits, edit{m[0], m[1], fmt.Sprintf(pick(rng, selfRunning...), script)})
			if form == wholeHandler {
				edits = append(edits, edit{m[0], m[1], "<script>" + script + "</script>"})
			}
		}
	}
	return edits
}

var javaScriptURL = regexp.MustCompile(`(?i)javascript:`)

// editJavaScriptURL works on attributes that hold URLs.
func editJavaScriptURL(payload string, rng *rand.Rand) (edits []edit) {
	for _, t := range htmlTags(payload) {
		for _, a := range t.attributes {
			switch strings.ToLower(a.name) {
			case "href", "src", "action", "formaction", "data":
			default:
				continue
			}
			m := javaScriptURL.FindStringIndex(a.value)
			if m == nil || m[0] != 0 {
				continue
			}
			lo := a.hi - len(a.value)
			if a.quote != 0 {
				lo--
			}
			at := lo + 1 + rng.IntN(len("javascript")-1)
			edits = append(edits,
				edit{lo, lo + len("javascript"), flipCase(payload[lo:lo+len("javascript")], rng)},
				edit{at, at, pick(rng, "&Tab;", "&NewLine;", "&#9;", "&#10;", "&#x0D;", "&#x09;")})
			if a.quote != 0 {
				edits = append(edits, edit{at, at, pick(rng, "\t", "\n", "\r")}, edit{lo, lo, pick(rng, " ", "&#1;", "&#32;")})
			}
		}
	}
	return edits
}
