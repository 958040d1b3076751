// SPDX-License-Identifier: Apache-2.0

package augment

import (
	"math"
	"math/rand/v2"
	"strings"
)

// Context puts a payload beside, into or between normal texts.
type Context func(payload string, normal []string, rng *rand.Rand) string

// Append puts a payload behind a normal text.
func Append(payload string, normal []string, rng *rand.Rand) string {
	return normal[rng.IntN(len(normal))] + payload
}

// Insert puts a payload into a normal text.
func Insert(payload string, normal []string, rng *rand.Rand) string {
	text := normal[rng.IntN(len(normal))]
	at := boundary(text, rng)
	return text[:at] + payload + text[at:]
}

// Wrap puts a payload between two normal texts, a blank or a line break beside it.
func Wrap(payload string, normal []string, rng *rand.Rand) string {
	gap := []string{" ", "\n"}[rng.IntN(2)]
	return normal[rng.IntN(len(normal))] + gap + payload + gap + normal[rng.IntN(len(normal))]
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
	return text[:at] + gap + payload + gap + text[at:]
}
