// SPDX-License-Identifier: Apache-2.0

package evidence

import "strings"

// shortestBase64 is the length from which on a run of Base64 digits is tried: that of twelve bytes. Random digits of that
// length spell ASCII text once in some hundred thousand times.
const shortestBase64 = 16

const noDigit = 64

// base64Digit is the value of a digit of Base64 in either alphabet (RFC 4648, sections 4 and 5), noDigit for other bytes.
var base64Digit = func() (digits [256]byte) {
	for c := range digits {
		digits[c] = noDigit
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		digits[c] = byte(i)
	}
	digits['-'], digits['_'] = 62, 63
	return digits
}()

// appendBase64Decoded appends s to dst with each run of Base64 digits that spells ASCII text, and its padding, replaced
// by the text: parts of JSON Web Tokens, SAML messages, scripts in data URLs. Where a run spells none, its parts between
// slashes are tried, as they may be segments of a path. Base64 of compressed or other binary data stays as it is.
func appendBase64Decoded(dst []byte, s string) []byte {
	done := 0 // s[:done] is in dst
	for i := shortestBase64 - 1; i < len(s); i += shortestBase64 {
		if base64Digit[s[i]] == noDigit {
			continue // no run of that length covers this byte
		}
		lo, hi := i, i+1
		for lo > done && base64Digit[s[lo-1]] != noDigit {
			lo--
		}
		for hi < len(s) && base64Digit[s[hi]] != noDigit {
			hi++
		}
		if hi-lo >= shortestBase64 {
			dst, done = append(dst, s[done:lo]...), hi
			var ok bool
			if dst, ok = appendBase64(dst, s[lo:hi]); !ok {
				dst, ok = appendSegments(dst, s[lo:hi])
			}
			for ok && done < len(s) && s[done] == '=' {
				done++
			}
		}
		i = max(i, hi-1)
	}
	return append(dst, s[done:]...)
}

// appendSegments appends a run of digits with each part between slashes that is long enough and spells text replaced by
// the text; ok tells whether the last part does.
func appendSegments(dst []byte, digits string) (text []byte, ok bool) {
	for rest := digits; ; {
		segment, after, more := strings.Cut(rest, "/")
		if ok = len(segment) >= shortestBase64; ok {
			dst, ok = appendBase64(dst, segment)
		}
		if !ok {
			dst = append(dst, segment...)
		}
		if !more {
			return dst, ok
		}
		dst, rest = append(dst, '/'), after
	}
}

// appendBase64 appends what a run of digits spells; where that is not ASCII text, ok is false and nothing is appended.
func appendBase64(dst []byte, digits string) (text []byte, ok bool) {
	start := len(dst)
	bits, word := 0, uint32(0)
	for i := range len(digits) {
		word = word<<6 | uint32(base64Digit[digits[i]])
		if bits += 6; bits < 8 {
			continue
		}
		bits -= 8
		c := byte(word >> bits)
		if c > '~' || c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return dst[:start], false
		}
		dst = append(dst, c)
	}
	return dst, true
}
