// SPDX-License-Identifier: Apache-2.0

package evidence

// shortestBase64 is the length from which on a run of Base64 digits is tried: that of sixteen bytes. Random digits of
// that length spell ASCII text once in some ten million times.
const shortestBase64 = 22

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
// by the text: parts of JSON Web Tokens, SAML messages, scripts in data URLs. Base64 of compressed or other binary data
// stays as it is.
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
			dst, done = append(dst, s[done:lo]...), lo
			if text, ok := appendBase64(dst, s[lo:hi]); ok {
				for hi < len(s) && s[hi] == '=' {
					hi++
				}
				dst, done = text, hi
			}
		}
		i = max(i, hi-1)
	}
	return append(dst, s[done:]...)
}

// appendBase64 appends what a run of digits spells; ok is false where that is not ASCII text.
func appendBase64(dst []byte, digits string) (text []byte, ok bool) {
	bits, word := 0, uint32(0)
	for i := range len(digits) {
		word = word<<6 | uint32(base64Digit[digits[i]])
		if bits += 6; bits < 8 {
			continue
		}
		bits -= 8
		c := byte(word >> bits)
		if c > '~' || c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return dst, false
		}
		dst = append(dst, c)
	}
	return dst, true
}
