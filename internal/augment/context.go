// SPDX-License-Identifier: Apache-2.0

package augment

import (
	"math"
	"math/rand/v2"
	"strings"
)

// Context puts a payload beside, into or between normal texts.
type Context func(payload string, normal []string, rng *rand.Rand) string

// insert puts a piece into a text, behind its first at bytes, with a gap on both sides.
func insert(text string, at int, gap, piece string) string {
	return text[:at] + gap + piece + gap + text[at:]
}

// Append puts a payload behind a normal text.
func Append(payload string, normal []string, rng *rand.Rand) string {
	text := normal[rng.IntN(len(normal))]
	return insert(text, len(text), "", payload)
}

// Insert puts a payload into a normal text.
func Insert(payload string, normal []string, rng *rand.Rand) string {
	text := normal[rng.IntN(len(normal))]
	return insert(text, boundary(text, rng), "", payload)
}

// Wrap puts a payload between two normal texts, a blank or a line break beside it.
func Wrap(payload string, normal []string, rng *rand.Rand) string {
	gap := []string{" ", "\n"}[rng.IntN(2)]
	before, behind := normal[rng.IntN(len(normal))], normal[rng.IntN(len(normal))]
	return insert(before+behind, len(before), gap, payload)
}

// The lengths of what [Surround] puts around a payload, in bytes: as often of one power of two as of the next.
const (
	shortestSurroundings = 1 << 5
	longestSurroundings  = 1 << 13
)

// Surround puts a payload before, into or behind normal texts that are joined to a length drawn from rng, of 32 bytes to 8 kB.
func Surround(payload string, normal []string, rng *rand.Rand) string {
	length := int(shortestSurroundings * math.Pow(longestSurroundings/shortestSurroundings, rng.Float64()))
	var b strings.Builder
	for b.Len() < length {
		b.WriteString(normal[rng.IntN(len(normal))])
		b.WriteByte(' ')
	}
	text := b.String()[:length]
	at := []int{0, rng.IntN(len(text)), len(text)}[rng.IntN(3)]
	gap := []string{"", " ", "\n", ","}[rng.IntN(4)]
	return insert(text, at, gap, payload)
}
