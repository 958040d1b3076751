// SPDX-License-Identifier: Apache-2.0

package mutate

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
)

// scriptMutators keep what a script calls, and with which arguments. They use no quote but the backtick, which no
// application puts around an attribute, and no blank. The tests hold them to it in a JavaScript engine.
var scriptMutators = []Mutator{
	scriptMutator("js-escape", "the call: a letter of the function's name as a Unicode escape", editScriptEscape),
	scriptMutator("js-comment", "the call: a comment between the function and its arguments", editScriptComment),
	scriptMutator("js-member", "the call: the function as a member of the global object", editScriptMember),
	scriptMutator("js-number", "the call: another expression for the same whole number", editScriptNumber),
	scriptMutator("js-comma", "the call: the function as the value of a comma expression", editScriptComma),
}

func scriptMutator(name, preserves string, edits func(string, *rand.Rand) []edit) Mutator {
	return Mutator{name, "xss", preserves, one(edits)}
}

// scriptCall is a call of a global function that takes any arguments, by its plain name.
var scriptCall = regexp.MustCompile(`(?:^|[^\w.$\\` + "`" + `])((alert|confirm|prompt)\()`)

// scriptCalls lists where the names of called functions begin and end.
func scriptCalls(payload string) (list [][2]int) {
	for _, m := range scriptCall.FindAllStringSubmatchIndex(payload, -1) {
		list = append(list, [2]int{m[4], m[5]})
	}
	return list
}

func editScriptEscape(payload string, rng *rand.Rand) (edits []edit) {
	for _, call := range scriptCalls(payload) {
		at := call[0] + rng.IntN(call[1]-call[0])
		edits = append(edits, edit{at, at + 1, fmt.Sprintf(pick(rng, `\u%04x`, `\u{%x}`), payload[at])})
	}
	return edits
}

func editScriptComment(payload string, rng *rand.Rand) (edits []edit) {
	for _, call := range scriptCalls(payload) {
		edits = append(edits, edit{call[1], call[1], "/*" + pick(rng, "", words(rng, "-")) + "*/"})
	}
	return edits
}

func editScriptMember(payload string, rng *rand.Rand) (edits []edit) {
	if strings.Contains(payload, "`") {
		return nil
	}
	for _, call := range scriptCalls(payload) {
		name := payload[call[0]:call[1]]
		cut := 1 + rng.IntN(len(name)-1)
		member := pick(rng, "`"+name+"`", "`"+name[:cut]+"`+`"+name[cut:]+"`")
		edits = append(edits, edit{call[0], call[1], pick(rng, "window", "self", "globalThis") + "[" + member + "]"})
	}
	return edits
}

// scriptNumber is a call with a whole number as its only argument.
var scriptNumber = regexp.MustCompile(`\(([1-9]\d{0,5})\)`)

func editScriptNumber(payload string, rng *rand.Rand) (edits []edit) {
	calls := scriptCalls(payload)
	for _, m := range scriptNumber.FindAllStringSubmatchIndex(payload, -1) {
		for _, call := range calls {
			if call[1] == m[0] {
				n := payload[m[2]:m[3]]
				edits = append(edits, edit{m[2], m[3], pick(rng, "("+n+")", n+"-0", n+"*1", n+".0", "-(-"+n+")")})
			}
		}
	}
	return edits
}

func editScriptComma(payload string, rng *rand.Rand) (edits []edit) {
	for _, call := range scriptCalls(payload) {
		if call[0] > 0 && strings.IndexByte("(,=;{&|>:", payload[call[0]-1]) >= 0 {
			edits = append(edits, edit{call[0], call[1], fmt.Sprintf("(%d,%s)", 1+rng.IntN(99), payload[call[0]:call[1]])})
		}
	}
	return edits
}
