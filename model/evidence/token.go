// SPDX-License-Identifier: Apache-2.0

package evidence

// A token is a 32-bit hash. Tokens keep structure and drop constants: a known word is itself, an unknown word is its
// shape, a mark (a byte of punctuation) is itself with the blanks around it, a run of blanks between others is one blank.
type token = uint32

// Kinds of shape. A shape token is kind<<8 | length class, far below the hashes of words (see wordToken).
const (
	shapePunct   = iota + 1 // one mark; the "length class" is the byte
	shapeBlank              // blanks and tabs with no mark beside them; class 1 where the run holds a line break
	shapeControl            // one control byte other than a blank
	shapeOther              // a run of bytes above 0x7F
	shapeLetters            // [a-z]+
	shapeDigits             // [0-9]+
	shapeHex                // [0-9a-f]+ with both letters and digits
	shapeMixed              // [a-z0-9_]+ otherwise
)

func shape(kind int, class byte) token { return token(kind)<<8 | token(class) }

// lengthClass buckets a run's length by powers of two: 1, 2, 3–4, 5–8, 9–16, 17–32, 33 and more.
func lengthClass(n int) byte {
	class := byte(0)
	for limit := 1; limit < n && class < 6; limit <<= 1 {
		class++
	}
	return class
}

// FNV-1a, 32 bits (RFC draft Fowler, Noll, Vo).
const (
	fnvOffset = 2166136261
	fnvPrime  = 16777619
)

// wordToken turns the running FNV-1a hash of a word into its token, which no shape can equal.
func wordToken(hash uint32) token { return hash | 1<<31 }

// kinds of bytes, as the tokenizer sees them.
const (
	bytePunct = iota
	byteBlank
	byteBreak
	byteControl
	byteHigh
	byteHexLetter
	byteLetter
	byteDigit
	byteUnderscore
)

var byteKind = func() (kinds [256]byte) {
	for c := range kinds {
		switch {
		case c == ' ' || c == '\t':
			kinds[c] = byteBlank
		case c == '\n' || c == '\r':
			kinds[c] = byteBreak
		case c < ' ' || c == 0x7F:
			kinds[c] = byteControl
		case c > 0x7F:
			kinds[c] = byteHigh
		case 'a' <= c && c <= 'f':
			kinds[c] = byteHexLetter
		case 'g' <= c && c <= 'z':
			kinds[c] = byteLetter
		case '0' <= c && c <= '9':
			kinds[c] = byteDigit
		case c == '_':
			kinds[c] = byteUnderscore
		}
	}
	return kinds
}()

// maxWord is the length in bytes beyond which a run is no word that a vocabulary could hold.
const maxWord = 32

// next cuts the first token off b, which must not be empty and in lower case. word is 0 unless the token is a run
// that a vocabulary may know; shape is then its token where it does not.
func next(b []byte) (word, tok token, n int) {
	switch kind := byteKind[b[0]]; kind {
	case bytePunct:
		return mark(b, 0)
	case byteControl:
		return 0, shape(shapeControl, 0), 1
	case byteBlank, byteBreak:
		class := byte(0)
		for n < len(b) && (byteKind[b[n]] == byteBlank || byteKind[b[n]] == byteBreak) {
			if byteKind[b[n]] == byteBreak {
				class = 1
			}
			n++
		}
		if class == 0 && n < len(b) && byteKind[b[n]] == bytePunct {
			return mark(b, n)
		}
		return 0, shape(shapeBlank, class), n
	case byteHigh:
		for n < len(b) && byteKind[b[n]] == byteHigh {
			n++
		}
		return 0, shape(shapeOther, lengthClass(n)), n
	}
	return run(b)
}

// mark cuts off b the byte of punctuation at b[at], with the blanks and tabs before and after it: "a = b" says no more than "a=b",
// and an attacker may write either.
func mark(b []byte, at int) (word, tok token, n int) {
	for n = at + 1; n < len(b) && byteKind[b[n]] == byteBlank; n++ {
	}
	return 0, shape(shapePunct, b[at]), n
}

// run cuts a run of letters, digits and underscores off b.
func run(b []byte) (word, tok token, n int) {
	hash, seen := uint32(fnvOffset), 0
	for n < len(b) {
		kind := byteKind[b[n]]
		if kind < byteHexLetter {
			break
		}
		seen |= 1 << kind
		hash = (hash ^ uint32(b[n])) * fnvPrime
		n++
	}
	class := lengthClass(n)
	switch seen {
	case 1 << byteDigit:
		return 0, shape(shapeDigits, class), n
	case 1 << byteHexLetter, 1 << byteLetter, 1<<byteHexLetter | 1<<byteLetter:
		tok = shape(shapeLetters, class)
	case 1<<byteHexLetter | 1<<byteDigit:
		tok = shape(shapeHex, class)
	default:
		tok = shape(shapeMixed, class)
	}
	if n <= maxWord {
		word = wordToken(hash)
	}
	return word, tok, n
}

// Order is the longest n-gram, in tokens: a chain looks back Order-1 tokens.
const Order = 5

// extend gives the key of the n-gram that appends t to the n-gram with key k. The key of a single token is the
// token.
func extend(k uint32, t token) uint32 {
	h := (k ^ t*0x9E3779B1) * 0x85EBCA6B // multipliers of the golden ratio and of MurmurHash3
	return h ^ h>>15
}
