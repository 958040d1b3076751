// SPDX-License-Identifier: Apache-2.0

package mutate

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// lookupMutators keep what Log4j 2 resolves a lookup to.
var lookupMutators = []Mutator{
	{"lookup-case", "log4shell", "the lookup: its name is the same in either case", one(editLookupCase)},
	{"lookup-nested", "log4shell", "the lookup: a letter of it is the value of another lookup", one(editLookupNested)},
}

// lookupLetters lists the letters that stand directly in a ${…}: those of its name and, behind the colon, those of
// the scheme up to the next colon.
func lookupLetters(payload string, colons int) (list []int) {
	depth, seen := 0, 0
	for i := 0; i < len(payload); i++ {
		switch {
		case strings.HasPrefix(payload[i:], "${"):
			if depth++; depth == 1 {
				seen = 0
			}
			i++
		case payload[i] == '}' && depth > 0:
			depth--
		case payload[i] == ':' && depth == 1:
			seen++
		case isLetter(payload[i]) && depth == 1 && seen < colons:
			list = append(list, i)
		}
	}
	return list
}

func editLookupCase(payload string, rng *rand.Rand) (edits []edit) {
	for _, i := range lookupLetters(payload, 1) {
		edits = append(edits, edit{i, i + 1, flipCase(payload[i:i+1], rng)})
	}
	return edits
}

func editLookupNested(payload string, rng *rand.Rand) (edits []edit) {
	for _, i := range lookupLetters(payload, 2) {
		c := payload[i : i+1]
		forms := []string{"${::-%s}", "${" + pick(rng, everyday...) + ":" + pick(rng, everyday...) + ":-%s}"}
		if strings.ToLower(c) == c {
			forms = append(forms, "${lower:%s}")
		}
		edits = append(edits, edit{i, i + 1, fmt.Sprintf(pick(rng, forms...), c)})
	}
	return edits
}
