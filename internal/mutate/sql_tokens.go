// SPDX-License-Identifier: Apache-2.0

package mutate

import (
	"regexp"
	"strings"
)

// kind is what a token of SQL is.
type kind int

const (
	sqlBlank   kind = iota // a run of blanks
	sqlWord                // keyword or identifier
	sqlNumber              // decimal digits only
	sqlText                // 'closed' string
	sqlOpen                // text of a string that begins before the payload or ends after it, or is not between '
	sqlComment             // /* … */
	sqlHint                // /*! … */ or /*+ … */, which engines read
	sqlLine                // -- or # and the rest of the line
	sqlSymbol              // operator or other punctuation
)

// sqlToken is payload[lo:hi].
type sqlToken struct {
	kind   kind
	lo, hi int
	text   string
}

// is reports whether the token is one of these words or symbols; words are given in capitals.
func (t sqlToken) is(texts ...string) bool {
	if t.kind != sqlWord && t.kind != sqlSymbol {
		return false
	}
	for _, text := range texts {
		if strings.EqualFold(t.text, text) {
			return true
		}
	}
	return false
}

// sqlTokens takes a payload apart, none where it cannot be read with certainty: backslashes escape in some dialects.
func sqlTokens(payload string) (tokens []sqlToken) {
	if strings.Contains(payload, `\`) {
		return nil
	}
	at := 0
	add := func(k kind, end int) {
		tokens = append(tokens, sqlToken{k, at, end, payload[at:end]})
		at = end
	}
	if q := quoteAround(payload); q != 0 {
		add(sqlOpen, strings.IndexByte(payload, q)+1)
	}
	for at < len(payload) {
		k, n := nextSQL(payload[at:])
		add(k, at+n)
	}
	return tokens
}

// symbols of more than one character.
var sqlSymbols = []string{"<=>", "<=", ">=", "<>", "!=", "||", "&&", "::", ":=", "@@", "<<", ">>", "->"}

// nextSQL returns kind and length of the first token of a text that is not empty.
func nextSQL(s string) (kind, int) {
	run := func(in func(byte) bool) int {
		n := 1
		for n < len(s) && in(s[n]) {
			n++
		}
		return n
	}
	inWord := func(c byte) bool { return isLetter(c) || isDigit(c) || c == '_' || c == '$' || c >= 0x80 }
	switch c := s[0]; {
	case isBlank(c):
		return sqlBlank, run(isBlank)
	case isDigit(c):
		if n := run(isDigit); n == len(s) || !inWord(s[n]) && s[n] != '.' {
			return sqlNumber, n
		}
		return sqlOpen, run(func(c byte) bool { return inWord(c) || c == '.' })
	case inWord(c):
		return sqlWord, run(inWord)
	case c == '#', strings.HasPrefix(s, "--"):
		if n := strings.IndexByte(s, '\n'); n >= 0 {
			return sqlLine, n
		}
		return sqlLine, len(s)
	case strings.HasPrefix(s, "/*"):
		k := sqlComment
		if len(s) > 2 && (s[2] == '!' || s[2] == '+') {
			k = sqlHint
		}
		if n := strings.Index(s[2:], "*/"); n >= 0 {
			return k, n + 4
		}
		return k, len(s)
	case strings.IndexByte("'\"`", c) >= 0:
		return quotedSQL(s)
	}
	for _, symbol := range sqlSymbols {
		if strings.HasPrefix(s, symbol) {
			return sqlSymbol, len(symbol)
		}
	}
	return sqlSymbol, 1
}

// quotedSQL is nextSQL for a text that begins with a quote; a doubled quote within stands for one.
func quotedSQL(s string) (kind, int) {
	for n := 1; n < len(s); n++ {
		if s[n] != s[0] {
			continue
		}
		if n+1 < len(s) && s[n+1] == s[0] {
			n++
			continue
		}
		if s[0] == '\'' {
			return sqlText, n + 1
		}
		return sqlOpen, n + 1
	}
	return sqlOpen, len(s)
}

// Dialects that a payload gives away.
var (
	isMySQL = regexp.MustCompile(`(?i)\b(sleep|benchmark|extractvalue|updatexml|load_file|outfile|dumpfile|found_rows)\b|/\*!|#[^\n]*$`)
	isMSSQL = regexp.MustCompile(`(?i)\b(waitfor|xp_\w+|sp_\w+|master|exec|execute|openrowset|sysobjects|declare|varchar)\b|@@`)
)

// sqlSite is a token with the tokens before and after it that are neither blank nor comment.
type sqlSite struct {
	sqlToken
	i            int
	before, next sqlToken // zero (an empty sqlBlank) at the payload's ends
}

// sqlSites lists the tokens of a payload in their surroundings.
func sqlSites(tokens []sqlToken) []sqlSite {
	sites := make([]sqlSite, len(tokens))
	silent := func(t sqlToken) bool { return t.kind == sqlBlank || t.kind == sqlComment || t.kind == sqlLine }
	var last sqlToken
	for i, t := range tokens {
		sites[i] = sqlSite{sqlToken: t, i: i, before: last}
		if !silent(t) {
			last = t
		}
	}
	last = sqlToken{}
	for i := len(tokens) - 1; i >= 0; i-- {
		sites[i].next = last
		if !silent(tokens[i]) {
			last = tokens[i]
		}
	}
	return sites
}

// ends reports whether an expression may end before the token: nothing that binds more tightly than a comparison
// follows.
func (t sqlToken) ends() bool {
	return t.text == "" || t.is(")", ",", ";", "AND", "OR", "UNION", "ORDER", "GROUP", "LIMIT", "HAVING", "FROM", "WHERE", "THEN", "ELSE", "END")
}
