// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"bytes"
	"unicode/utf8"
)

// maxRounds bounds how often a value is decoded: attacks nest encodings two or three deep, noise may nest them
// without end.
const maxRounds = 3

// lower puts a letter in lower case; escape marks the bytes that may begin an escape. Tables, because a branch for
// each byte of text costs more.
var lower, escape = func() (lower [256]byte, escape [256]bool) {
	for c := range lower {
		lower[c] = byte(c)
		if 'A' <= c && c <= 'Z' {
			lower[c] |= 0x20
		}
	}
	for _, c := range []byte{'%', '&', '\\', 0xC0, 0xC1} {
		escape[c] = true
	}
	return lower, escape
}()

// appendDecoded appends s to dst with Base64 that spells text decoded, letters in lower case, the pluses of forms made
// blanks, and percent, HTML-entity and backslash escapes undone, again until nothing changes or maxRounds is reached. The result is never longer than s.
func appendDecoded(dst []byte, s string) []byte {
	start := len(dst)
	dst = appendBase64Decoded(dst, s)
	escaped := false
	for i, c := range dst[start:] {
		dst[start+i] = lower[c]
		escaped = escaped || escape[c]
	}
	if escaped && formEncoded(dst[start:]) {
		for i, c := range dst[start:] {
			if c == '+' {
				dst[start+i] = ' '
			}
		}
	}
	for round := 0; escaped && round < maxRounds; round++ {
		var text []byte
		text, escaped = unescape(dst[start:])
		dst = dst[:start+len(text)]
	}
	return dst
}

// formEncoded tells whether a text looks like a field of a form that nobody decoded, where a plus stands for a blank: it has
// percent escapes and no blanks.
func formEncoded(b []byte) bool {
	if bytes.IndexByte(b, '+') < 0 || bytes.IndexByte(b, ' ') >= 0 {
		return false
	}
	for i := bytes.IndexByte(b, '%'); i >= 0; {
		if _, n := percent(b[i:]); n > 0 {
			return true
		}
		next := bytes.IndexByte(b[i+1:], '%')
		if next < 0 {
			return false
		}
		i += 1 + next
	}
	return false
}

// unescape undoes one level of escapes in place and reports whether there was any.
func unescape(b []byte) (out []byte, changed bool) {
	w := 0
	for i := 0; i < len(b); {
		if !escape[b[i]] {
			b[w] = b[i]
			w, i = w+1, i+1
			continue
		}
		r, n := rune(-1), 0
		switch b[i] {
		case '%':
			r, n = percent(b[i:])
		case '&':
			r, n = entity(b[i:])
		case '\\':
			r, n = backslash(b[i:])
		case 0xC0, 0xC1: // overlong two-byte UTF-8 of an ASCII character
			if i+1 < len(b) && b[i+1]&0xC0 == 0x80 {
				r, n = rune(b[i]&0x1F)<<6|rune(b[i+1]&0x3F), 2
			}
		}
		if n == 0 {
			b[w] = b[i]
			w, i = w+1, i+1
			continue
		}
		changed = true
		i += n
		w = put(b, w, r)
	}
	return b[:w], changed
}

// put writes a decoded character at b[w]. Values up to 0xFF are bytes (percent escapes spell UTF-8 byte by byte).
func put(b []byte, w int, r rune) int {
	switch {
	case 'A' <= r && r <= 'Z':
		b[w] = byte(r) | 0x20
		return w + 1
	case r <= 0xFF:
		b[w] = byte(r)
		return w + 1
	case 0xFF01 <= r && r <= 0xFF5E: // full-width forms stand for ASCII
		return put(b, w, r-0xFEE0)
	}
	return w + utf8.EncodeRune(b[w:w+3], min(r, utf8.RuneError)) // at most 3 bytes, the escape had at least 6
}

// percent decodes %XX and %uXXXX at the start of b.
func percent(b []byte) (rune, int) {
	if len(b) >= 6 && b[1] == 'u' {
		if r, ok := hex(b[2:6]); ok {
			return r, 6
		}
	}
	if len(b) >= 3 {
		if r, ok := hex(b[1:3]); ok {
			return r, 3
		}
	}
	return 0, 0
}

// backslash decodes \uXXXX and \xXX, as in JavaScript and JSON, at the start of b.
func backslash(b []byte) (rune, int) {
	switch {
	case len(b) >= 6 && b[1] == 'u':
		if r, ok := hex(b[2:6]); ok {
			return r, 6
		}
	case len(b) >= 4 && b[1] == 'x':
		if r, ok := hex(b[2:4]); ok {
			return r, 4
		}
	}
	return 0, 0
}

// namedEntities are the HTML entities that spell ASCII punctuation and blanks.
var namedEntities = map[string]rune{
	"lt": '<', "gt": '>', "amp": '&', "quot": '"', "apos": '\'', "nbsp": ' ', "tab": '\t', "newline": '\n',
	"colon": ':', "lpar": '(', "rpar": ')', "sol": '/', "bsol": '\\', "equals": '=', "semi": ';', "comma": ',',
	"period": '.', "excl": '!', "num": '#', "lbrace": '{', "rbrace": '}', "lsqb": '[', "rsqb": ']', "grave": '`',
}

const longestEntity = len("newline")

// entity decodes &name;, &#NN; and &#xNN; (the semicolon may be missing after digits) at the start of b.
func entity(b []byte) (rune, int) {
	if len(b) < 4 {
		return 0, 0
	}
	if b[1] == '#' {
		return numericEntity(b)
	}
	for n := 1; n <= longestEntity && n+1 < len(b); n++ {
		if b[n+1] == ';' {
			if r, ok := namedEntities[string(b[1:n+1])]; ok {
				return r, n + 2
			}
			return 0, 0
		}
	}
	return 0, 0
}

func numericEntity(b []byte) (rune, int) {
	i, base := 2, rune(10)
	if b[2] == 'x' {
		i, base = 3, 16
	}
	first, r := i, rune(0)
	for ; i < len(b) && i < first+7; i++ { // 7 digits reach past the last code point in either base
		d := digit(b[i])
		if d >= base {
			break
		}
		r = r*base + d
	}
	if i == first || r > utf8.MaxRune {
		return 0, 0
	}
	if i < len(b) && b[i] == ';' {
		i++
	}
	if r > 0xFF && i < 6 {
		return 0, 0 // too short an escape to hold the UTF-8 of its character, such as &#999
	}
	return r, i
}

func hex(b []byte) (rune, bool) {
	r := rune(0)
	for _, c := range b {
		d := digit(c)
		if d > 15 {
			return 0, false
		}
		r = r<<4 | d
	}
	return r, true
}

// digit returns the value of a hexadecimal digit in lower case, 99 for other bytes.
func digit(c byte) rune {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0')
	case 'a' <= c && c <= 'f':
		return rune(c-'a') + 10
	}
	return 99
}
