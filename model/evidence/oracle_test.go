// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"encoding/base64"
	"math"
	"regexp"
	"strings"
)

// naiveScan is what [Chains.Scan] finds in a decoded text, from the definition: of all stretches that with the largest
// sum, the first and then the shortest of several.
func naiveScan(c *Chains, decoded []byte) (t Text) {
	ratios, starts := naiveRatios(c, decoded)
	best := 0
	for end := range ratios {
		sum := 0
		for from := end; from >= 0; from-- {
			if sum += ratios[from]; sum > best {
				best, t.Lo, t.Hi, t.Tokens = sum, starts[from], starts[end+1], end+1-from
			}
		}
	}
	t.Length = len(ratios)
	t.Evidence = max(float64(best)/scale-math.Log(float64(t.Length+1)), 0)
	return t
}

// naiveRatios computes each token's ratio, less the drift, from the definition: the longest known n-gram that ends at the
// token, plus the back-off of every longer context that is known. starts tells where each token begins, and the text ends.
func naiveRatios(c *Chains, text []byte) (ratios, starts []int) {
	known := map[uint32]entry{}
	for _, e := range c.entries {
		known[e.key] = e
	}
	key := func(gram []token) uint32 {
		k := gram[0]
		for _, tok := range gram[1:] {
			k = extend(k, tok)
		}
		return k
	}
	var history []token
	met := map[uint32]uint32{} // the last key of each slot
	starts = []int{0}
	for at := 0; at < len(text); {
		word, tok, n := next(text[at:])
		at += n
		if _, ok := known[word]; ok {
			tok = word
		}
		history = append(history, tok)
		window := history[max(0, len(history)-Order):]
		longest := 0 // tokens of the longest known n-gram whose suffixes are all known
		for n := 1; n <= len(window); n++ {
			if _, ok := known[key(window[len(window)-n:])]; !ok {
				break
			}
			longest = n
		}
		r, gram := 0, tok
		if longest > 0 {
			gram = key(window[len(window)-longest:])
			r = int(known[gram].ratio)
		}
		context := window[:len(window)-1]
		for n := 1; n <= len(context); n++ {
			e, ok := known[key(context[len(context)-n:])]
			if !ok {
				break
			}
			if n >= max(longest, 1) {
				r += int(e.back)
			}
		}
		if r > 0 {
			slot := gram % 1024
			if met[slot] == gram {
				r -= r / 4
			}
			met[slot] = gram
		}
		ratios = append(ratios, min(max(r, -clip*scale), clip*scale)-drift)
		starts = append(starts, at)
	}
	return ratios, starts
}

var (
	base64Run     = regexp.MustCompile(`[A-Za-z0-9+/_-]{16,}=*`)
	base64Segment = regexp.MustCompile(`[A-Za-z0-9+_-]{16,}=*`)
	percentEscape = regexp.MustCompile(`%([0-9a-f]{2}|u[0-9a-f]{4})`)
	ascii         = regexp.MustCompile(`^[\t\n\r -~]*$`)
)

// naiveBase64 replaces runs of Base64, or else their parts between slashes, by what they spell, where that is ASCII text.
func naiveBase64(s string) string {
	return base64Run.ReplaceAllStringFunc(s, func(run string) string {
		if text, ok := naiveBase64Text(run); ok {
			return text
		}
		return base64Segment.ReplaceAllStringFunc(run, func(segment string) string {
			if text, ok := naiveBase64Text(segment); ok {
				return text
			}
			return segment
		})
	})
}

func naiveBase64Text(run string) (text string, ok bool) {
	digits := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(run, "="))
	if len(digits)%4 == 1 {
		digits = digits[:len(digits)-1]
	}
	spelt, err := base64.RawStdEncoding.DecodeString(digits)
	return string(spelt), err == nil && ascii.Match(spelt)
}

// naiveDecoded undoes Base64, lowers a text's letters and undoes up to maxRounds of escapes, each on all of the text.
func naiveDecoded(s string) []byte {
	text := []byte(naiveBase64(s))
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			text[i] = c - 'A' + 'a'
		}
	}
	if !strings.Contains(string(text), " ") && percentEscape.Match(text) {
		text = []byte(strings.ReplaceAll(string(text), "+", " "))
	}
	for range maxRounds {
		var out []byte
		for rest := text; len(rest) > 0; {
			char, n := naiveEscape(rest)
			out, rest = append(out, char...), rest[n:]
		}
		text = out
	}
	return text
}

// naiveEscape returns the character that the escape at the front of a text stands for and the escape's length, or the
// first byte and 1.
func naiveEscape(text []byte) (char []byte, n int) {
	for _, read := range []func([]byte) (rune, int){percentAt, entityAt, backslashAt, overlongAt} {
		if r, n := read(text); n > 0 {
			var room [8]byte
			return room[:put(room[:], 0, r)], n
		}
	}
	return text[:1], 1
}

func percentAt(text []byte) (rune, int)   { return at('%', text, percent) }
func entityAt(text []byte) (rune, int)    { return at('&', text, entity) }
func backslashAt(text []byte) (rune, int) { return at('\\', text, backslash) }

func overlongAt(text []byte) (rune, int) {
	if len(text) > 1 && (text[0] == 0xC0 || text[0] == 0xC1) && text[1] >= 0x80 && text[1] < 0xC0 {
		return rune(text[0]-0xC0)*64 + rune(text[1]-0x80), 2
	}
	return 0, 0
}

func at(first byte, text []byte, read func([]byte) (rune, int)) (rune, int) {
	if text[0] != first {
		return 0, 0
	}
	return read(text)
}
