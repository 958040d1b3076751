// SPDX-License-Identifier: Apache-2.0

package mutate

import (
	"math/rand/v2"
	"regexp"
	"strings"
)

// shellMutators keep the commands that a POSIX shell runs, and their output. They touch only well-known commands
// where a command can begin, and what follows them, outside of quotes. The tests hold them to it in sh.
var shellMutators = []Mutator{
	shellMutator("shell-quote", "a pair of quotes within a word", editShellQuote),
	shellMutator("shell-backslash", "a backslash before a letter of a word", editShellBackslash),
	shellMutator("shell-empty", "an expansion to nothing within a word, where the script has no arguments", editShellEmpty),
	shellMutator("shell-blank", "another blank, or $IFS, between words", editShellBlank),
	shellMutator("shell-path", "another spelling of the same path", editShellPath),
	shellMutator("shell-substitution", "$(…) for `…` and the reverse", editShellSubstitution),
	shellMutator("shell-null", "the command that does nothing, with any words, before another", editShellNull),
	shellMutator("shell-variable", "part of a word from a variable that is set before", editShellVariable),
}

func shellMutator(name, preserves string, edits func(string, *rand.Rand) []edit) Mutator {
	return Mutator{name, "rce", "the commands that a POSIX shell runs: " + preserves, one(edits)}
}

// shellCommand is a place where a command begins, and the name of one; then its arguments, as far as they are plain.
var shellCommand = regexp.MustCompile("(^|[;|&(`\n])([ \t]*)((?:/usr)?/s?bin/)?" +
	`(cat|echo|id|ls|whoami|uname|ping|curl|wget|bash|sh|sleep|nc|netcat|nslookup|dig|host|ps|pwd|ifconfig|netstat|printf|touch|rm|cp|mv|chmod|head|tail|grep|find|perl|python|python3|ruby|php|hostname|uptime|w|env|which|date|tr|wc)` +
	`((?:[ \t][\w./ \t=:,@%+-]*)?)(?:$|[;|&)` + "`\n#<>$(])")

// simpleCommand is one in a payload; the fields are places in it.
type simpleCommand struct {
	lo, hi, end int  // name: lo to hi; arguments: hi to end
	opener      byte // what stands before it; 0 at the payload's beginning
	start       int  // behind the opener
}

func simpleCommands(payload string) (list []simpleCommand) {
	quoted := inShellQuotes(payload)
	for at := 0; at < len(payload); {
		m := shellCommand.FindStringSubmatchIndex(payload[at:])
		if m == nil {
			return list
		}
		c := simpleCommand{lo: at + m[8], hi: at + m[9], end: at + m[11], start: at + m[3]}
		if m[3] > m[2] {
			c.opener = payload[at+m[2]]
		}
		if (m[2] < m[3] || at == 0) && !quoted[c.lo] && !quoted[c.end-1] {
			list = append(list, c)
		}
		at = c.end
	}
	return list
}

// inShellQuotes tells of each byte whether it stands within quotes. A payload that breaks out of quotes begins in them.
func inShellQuotes(payload string) []bool {
	quoted := make([]bool, len(payload))
	quote := quoteAround(payload)
	for i := 0; i < len(payload); i++ {
		c := payload[i]
		quoted[i] = quote != 0
		switch {
		case c == '\\' && quote != '\'':
			i++
			if i < len(payload) {
				quoted[i] = true
			}
		case c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, quoted[i] = c, true
		}
	}
	return quoted
}

// insides lists the places between two letters or digits of a command's words.
func (c simpleCommand) insides(payload string) (list []int) {
	for i := c.lo + 1; i < c.end; i++ {
		if plain(payload[i-1]) && plain(payload[i]) {
			list = append(list, i)
		}
	}
	return list
}

func plain(c byte) bool { return isLetter(c) || isDigit(c) }

func editShellQuote(payload string, rng *rand.Rand) (edits []edit) {
	for _, c := range simpleCommands(payload) {
		for _, i := range c.insides(payload) {
			edits = append(edits, edit{i, i, pick(rng, `''`, `""`)}, edit{i, i + 1, pick(rng, `'`, `"`)})
			last := &edits[len(edits)-1]
			last.text += payload[i:i+1] + last.text
		}
	}
	return edits
}

func editShellBackslash(payload string, _ *rand.Rand) (edits []edit) {
	for _, c := range simpleCommands(payload) {
		for _, i := range c.insides(payload) {
			edits = append(edits, edit{i, i, `\`})
		}
	}
	return edits
}

func editShellEmpty(payload string, rng *rand.Rand) (edits []edit) {
	for _, c := range simpleCommands(payload) {
		for _, i := range c.insides(payload) {
			edits = append(edits, edit{i, i, pick(rng, "$@", "${@}", "$*")})
		}
	}
	return edits
}

func editShellBlank(payload string, rng *rand.Rand) (edits []edit) {
	for _, c := range simpleCommands(payload) {
		for i := c.hi; i < c.end-1; i++ {
			if isBlank(payload[i]) && !isBlank(payload[i+1]) && !isBlank(payload[i-1]) {
				edits = append(edits, edit{i, i + 1, pick(rng, "${IFS}", "\t", "  ", " \t", "$IFS''")})
			}
		}
	}
	return edits
}

func editShellPath(payload string, rng *rand.Rand) (edits []edit) {
	for _, c := range simpleCommands(payload) {
		for i := c.hi + 1; i < c.end-1; i++ {
			if inPath := payload[i] == '/' && plain(payload[i+1]); inPath && payload[i-1] != ':' && payload[i-1] != '/' {
				edits = append(edits, edit{i, i + 1, pick(rng, "//", "/./")})
			}
		}
	}
	return edits
}

var (
	newSubstitution = regexp.MustCompile("\\$\\(([^()`$\\\\'\"]+)\\)")
	oldSubstitution = regexp.MustCompile("`([^()`$\\\\'\"]+)`")
)

func editShellSubstitution(payload string, _ *rand.Rand) (edits []edit) {
	if !strings.Contains(payload, "`") {
		for _, m := range newSubstitution.FindAllStringSubmatchIndex(payload, -1) {
			edits = append(edits, edit{m[0], m[1], "`" + payload[m[2]:m[3]] + "`"})
		}
	}
	if strings.Count(payload, "`") == 2 && !strings.Contains(payload, "print") { // which is PHP
		for _, m := range oldSubstitution.FindAllStringSubmatchIndex(payload, -1) {
			edits = append(edits, edit{m[0], m[1], "$(" + payload[m[2]:m[3]] + ")"})
		}
	}
	return edits
}

// opens reports whether another command may stand before this one.
func (c simpleCommand) opens() bool {
	return c.opener != 0 && strings.IndexByte(";(`\n", c.opener) >= 0
}

func editShellNull(payload string, rng *rand.Rand) (edits []edit) {
	for _, c := range simpleCommands(payload) {
		if c.opens() {
			edits = append(edits, edit{c.start, c.start, ": " + words(rng, " ") + ";"})
		}
	}
	return edits
}

func editShellVariable(payload string, rng *rand.Rand) (edits []edit) {
	for _, c := range simpleCommands(payload) {
		if name := payload[c.lo:c.hi]; c.opens() && len(name) > 1 {
			cut := 1 + rng.IntN(len(name)-1)
			variable := pick(rng, everyday...)
			edits = append(edits, edit{c.start, c.hi, variable + "=" + name[cut:] + ";" + payload[c.start:c.lo] + name[:cut] + "${" + variable + "}"})
		}
	}
	return edits
}
