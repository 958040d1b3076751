// SPDX-License-Identifier: Apache-2.0

// Package mutate rewrites attack payloads without changing what they do.
//
// # What a mutation is
//
// A [Mutator] makes one edit at one place, drawn from a random source. What the edit leaves as it was, and for whom, is
// written in Preserves: the rows that a query returns, the document that a browser builds, the command that a shell
// runs. Mutators compose: each takes the text that another made.
//
// A mutator edits only where it is sure. A payload is a fragment whose surroundings are unknown; where its meaning
// would depend on them, it is left alone. Many a payload therefore has few mutations or none.
//
// # Encodings
//
// An encoding ([Encodings]) is no such mutation: the application must undo it before the payload does anything. Its
// Preserves names the decoding that is assumed.
package mutate

import (
	"math/rand/v2"
	"slices"
	"strings"
)

// Longest bounds a mutated payload, in bytes: a mutator lets alone what it would make longer.
const Longest = 2048

// Mutator rewrites the payloads of one class of attack.
type Mutator struct {
	Name      string
	Class     string // the class of attack, as request files name it; empty for encodings
	Preserves string // what the payload keeps, and for which receiver

	// Apply returns the payload with one mutation, or false where there is no place for it. The same payload and state
	// of rng give the same result.
	Apply func(payload string, rng *rand.Rand) (string, bool)
}

// Classes lists the classes that have mutators.
func Classes() []string {
	return []string{"sqli", "xss", "rce", "lfi", "php", "ssti", "log4shell"}
}

// For returns the mutators of a class, none where it has none.
func For(class string) []Mutator {
	switch class {
	case "sqli":
		return sqlMutators
	case "xss":
		return slices.Concat(htmlMutators, scriptMutators)
	case "rce":
		return shellMutators
	case "lfi":
		return pathMutators
	case "php":
		return phpMutators
	case "ssti":
		return templateMutators
	case "log4shell":
		return lookupMutators
	}
	return nil
}

// Any applies one of the mutators, drawn from rng, and names it. It returns false where none of them finds a place.
func Any(mutators []Mutator, payload string, rng *rand.Rand) (mutated, name string, ok bool) {
	for _, i := range rng.Perm(len(mutators)) {
		if mutated, ok = mutators[i].Apply(payload, rng); ok {
			return mutated, mutators[i].Name, true
		}
	}
	return payload, "", false
}

// edit replaces payload[lo:hi] by text.
type edit struct {
	lo, hi int
	text   string
}

// one makes an Apply of a function that lists what could be edited: one edit, drawn from rng, is made.
func one(edits func(payload string, rng *rand.Rand) []edit) func(string, *rand.Rand) (string, bool) {
	return func(payload string, rng *rand.Rand) (string, bool) {
		possible := slices.DeleteFunc(edits(payload, rng), func(e edit) bool {
			return e.text == payload[e.lo:e.hi] || len(payload)-(e.hi-e.lo)+len(e.text) > Longest
		})
		if len(possible) == 0 {
			return payload, false
		}
		e := possible[rng.IntN(len(possible))]
		return payload[:e.lo] + e.text + payload[e.hi:], true
	}
}

// pick returns one of the texts.
func pick(rng *rand.Rand, texts ...string) string { return texts[rng.IntN(len(texts))] }

// everyday are words without a meaning in any of the languages: what an attacker dilutes a payload with.
var everyday = strings.Fields(`summer garden window letter music yellow coffee river morning market paper ticket
	holiday bicycle weather kitchen travel family weekend story photo sport recipe`)

// words returns one to five everyday words with a separator between them.
func words(rng *rand.Rand, separator string) string {
	list := make([]string, 1+rng.IntN(5))
	for i := range list {
		list[i] = pick(rng, everyday...)
	}
	return strings.Join(list, separator)
}

// flipCase changes the case of ASCII letters at random, of one at least if there is one.
func flipCase(text string, rng *rand.Rand) string {
	b := []byte(text)
	var letters []int
	for i, c := range b {
		if isLetter(c) {
			letters = append(letters, i)
		}
	}
	if len(letters) == 0 {
		return text
	}
	sure := letters[rng.IntN(len(letters))]
	for _, i := range letters {
		if i == sure || rng.IntN(2) == 0 {
			b[i] ^= 'a' - 'A'
		}
	}
	return string(b)
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isBlank(c byte) bool  { return c == ' ' || '\t' <= c && c <= '\r' }

// quoteAround guesses the quote that the payload is put between and breaks out of: its first one, if nothing but a
// bare value stands before it, as in 1' or '1'='1. It returns 0 where the payload begins outside of quotes.
func quoteAround(payload string) byte {
	i := strings.IndexAny(payload, `'"`)
	if i < 0 {
		return 0
	}
	for _, c := range []byte(payload[:i]) {
		if !isLetter(c) && !isDigit(c) && !strings.ContainsRune("_.-@%)", rune(c)) {
			return 0
		}
	}
	return payload[i]
}
