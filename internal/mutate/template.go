// SPDX-License-Identifier: Apache-2.0

package mutate

import (
	"math/rand/v2"
	"regexp"
	"strings"
)

// templateMutators keep what the expressions of a template evaluate to.
var templateMutators = []Mutator{
	{"template-blank", "ssti", "the value of the expression: blanks within its marks, in every engine", one(editTemplateBlank)},
	{"template-operator", "ssti", "the value of the expression: blanks beside an operator, in every engine", one(editTemplateOperator)},
	{"template-words", "ssti", "the value of the expression: words before it are printed as they are, in every engine", one(editTemplateWords)},
}

var (
	templateExpression = regexp.MustCompile(`\{\{([^{}]+)\}\}|[$#]\{([^{}]+)\}|<%=([^%]+)%>`)
	templateOperator   = regexp.MustCompile(`\d([*+])\d`)
)

// templateExpressions lists where expressions begin and end.
func templateExpressions(payload string) (list [][2]int) {
	for _, m := range templateExpression.FindAllStringSubmatchIndex(payload, -1) {
		for i := 2; i < len(m); i += 2 {
			if m[i] >= 0 {
				list = append(list, [2]int{m[i], m[i+1]})
			}
		}
	}
	return list
}

func editTemplateBlank(payload string, rng *rand.Rand) (edits []edit) {
	for _, x := range templateExpressions(payload) {
		if c := payload[x[0]]; c != '-' && c != '=' && c != '#' && c != '/' { // marks of their own
			edits = append(edits, edit{x[0], x[0], pick(rng, " ", "  ", "\t", "\n")})
		}
		if payload[x[1]-1] != '-' {
			edits = append(edits, edit{x[1], x[1], pick(rng, " ", "  ", "\t", "\n")})
		}
	}
	return edits
}

func editTemplateOperator(payload string, rng *rand.Rand) (edits []edit) {
	for _, x := range templateExpressions(payload) {
		if strings.ContainsAny(payload[x[0]:x[1]], `'"`) {
			continue
		}
		for _, m := range templateOperator.FindAllStringSubmatchIndex(payload[x[0]:x[1]], -1) {
			edits = append(edits, edit{x[0] + m[2], x[0] + m[2], pick(rng, " ", "  ")}, edit{x[0] + m[3], x[0] + m[3], pick(rng, " ", "  ")})
		}
	}
	return edits
}

func editTemplateWords(payload string, rng *rand.Rand) []edit {
	if len(templateExpressions(payload)) == 0 {
		return nil
	}
	return []edit{{0, 0, words(rng, " ") + " "}}
}
