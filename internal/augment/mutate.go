// SPDX-License-Identifier: Apache-2.0

package augment

import (
	"math/rand/v2"
	"strings"
	"unicode/utf8"
)

// Mutation changes normal text so that it stays normal: it becomes an attack that works with probability zero, for all
// practical purposes. others are further normal texts to take pieces of.
type Mutation func(text string, others []string, rng *rand.Rand) string

// Sprinkle puts random characters into a text, about one for eight of its own.
func Sprinkle(text string, _ []string, rng *rand.Rand) string {
	for range 1 + utf8.RuneCountInString(text)/8 {
		at := boundary(text, rng)
		text = insert(text, at, "", printable[rng.IntN(len(printable))])
	}
	return text
}

// Permute puts the words of a text, runs of letters and digits, in another order, and leaves the marks between them.
func Permute(text string, _ []string, rng *rand.Rand) string {
	var parts []string
	var at []int
	for u := range units(text, Tokens) {
		if kindOf(u) == letter {
			at = append(at, len(parts))
		}
		parts = append(parts, u)
	}
	rng.Shuffle(len(at), func(i, j int) { parts[at[i]], parts[at[j]] = parts[at[j]], parts[at[i]] })
	return strings.Join(parts, "")
}

// Merge puts pieces of other texts into a text, behind or before it.
func Merge(text string, others []string, rng *rand.Rand) string {
	for range 1 + rng.IntN(3) {
		piece := others[rng.IntN(len(others))]
		lo, hi := boundary(piece, rng), boundary(piece, rng)
		piece = piece[min(lo, hi):max(lo, hi)]
		text = insert(text, boundary(text, rng), "", piece)
	}
	return text
}

// dangerous are words and pairs of words that attacks use and that do no harm without the marks around them.
var dangerous = strings.Fields(`select union insert update delete drop_table order_by group_by where having sleep benchmark
	information_schema union_select from_users concat script javascript alert onerror onload onclick iframe document_cookie eval
	prompt svg passwd etc_passwd etc_shadow boot_ini system32 win_ini cmd_exe powershell whoami wget curl bash netcat
	phpinfo shell_exec system base64_decode php_input file_get_contents jndi ldap runtime_exec class_loader proc_self_environ
	xp_cmdshell waitfor_delay load_file into_outfile`)

// Seed puts words of attacks between the words of a text, without the syntax that would make them one.
func Seed(text string, _ []string, rng *rand.Rand) string {
	fields := strings.Fields(text)
	for range 1 + rng.IntN(4) {
		at := rng.IntN(len(fields) + 1)
		word := strings.ReplaceAll(dangerous[rng.IntN(len(dangerous))], "_", " ")
		fields = append(fields[:at], append([]string{word}, fields[at:]...)...)
	}
	return strings.Join(fields, " ")
}

// boundary draws a place between two characters of a text, or one of its ends.
func boundary(text string, rng *rand.Rand) int {
	at := rng.IntN(len(text) + 1)
	for at < len(text) && !utf8.RuneStart(text[at]) {
		at++
	}
	return at
}
