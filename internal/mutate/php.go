// SPDX-License-Identifier: Apache-2.0

package mutate

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
)

// phpMutators keep what a PHP program calls.
var phpMutators = []Mutator{
	phpMutator("php-case", "names of functions are the same in either case", editPHPCase),
	phpMutator("php-comment", "a comment between the function and its arguments", editPHPComment),
	phpMutator("php-string", "the same string of two parts", editPHPString),
	phpMutator("php-callable", "the function by a string of its name, from PHP 7 on", editPHPCallable),
}

func phpMutator(name, preserves string, edits func(string, *rand.Rand) []edit) Mutator {
	return Mutator{name, "php", "the calls of a PHP program: " + preserves, one(edits)}
}

var (
	phpCall   = regexp.MustCompile(`(?i)(?:^|[^\w$>:\\'"])((system|exec|passthru|shell_exec|phpinfo|file_get_contents|file_put_contents|base64_decode|var_dump|print_r|popen|proc_open|fopen|fwrite|readfile|scandir|call_user_func|move_uploaded_file|ini_set|md5|str_rot13|gzinflate)\()`)
	phpString = regexp.MustCompile(`[(,] ?('[\w /.-]{2,}') ?[,)]`)
)

// phpCalls lists where the names of called functions begin and end.
func phpCalls(payload string) (list [][2]int) {
	for _, m := range phpCall.FindAllStringSubmatchIndex(payload, -1) {
		list = append(list, [2]int{m[4], m[5]})
	}
	return list
}

func editPHPCase(payload string, rng *rand.Rand) (edits []edit) {
	for _, call := range phpCalls(payload) {
		edits = append(edits, edit{call[0], call[1], flipCase(payload[call[0]:call[1]], rng)})
	}
	return edits
}

func editPHPComment(payload string, rng *rand.Rand) (edits []edit) {
	for _, call := range phpCalls(payload) {
		edits = append(edits, edit{call[1], call[1], pick(rng, " ", "/**/", "/*"+words(rng, " ")+"*/", "\n", "#"+words(rng, " ")+"\n")})
	}
	return edits
}

// editPHPString leaves payloads alone that break out of quotes: within them, a quote more would end the string.
func editPHPString(payload string, rng *rand.Rand) (edits []edit) {
	if quoteAround(payload) != 0 || strings.Contains(payload, `"`) {
		return nil
	}
	for _, m := range phpString.FindAllStringSubmatchIndex(payload, -1) {
		text := payload[m[2]+1 : m[3]-1]
		cut := 1 + rng.IntN(len(text)-1)
		edits = append(edits, edit{m[2], m[3], fmt.Sprintf("'%s'.'%s'", text[:cut], text[cut:])})
	}
	return edits
}

func editPHPCallable(payload string, rng *rand.Rand) (edits []edit) {
	if quoteAround(payload) != 0 || strings.Contains(payload, `"`) {
		return nil
	}
	for _, call := range phpCalls(payload) {
		name := payload[call[0]:call[1]]
		cut := 1 + rng.IntN(len(name)-1)
		edits = append(edits, edit{call[0], call[1], fmt.Sprintf("('%s'.'%s')", name[:cut], name[cut:])})
	}
	return edits
}
