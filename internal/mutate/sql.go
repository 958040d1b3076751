// SPDX-License-Identifier: Apache-2.0

package mutate

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
)

// sqlMutators keep the rows that a query returns, and how long it takes. The tests hold them to it in SQLite, all but
// those of MySQL.
var sqlMutators = []Mutator{
	sqlMutator("sql-case", "keywords are the same in either case, in every dialect", editSQLCase),
	sqlMutator("sql-blank", "another blank between tokens, in every dialect", editSQLBlank),
	sqlMutator("sql-blank-to-comment", "a comment separates tokens like a blank, in every dialect", editSQLBlankToComment),
	sqlMutator("sql-blank-to-line", "a comment of one line separates tokens like a blank, in every dialect", editSQLBlankToLine),
	sqlMutator("sql-comment", "a comment beside punctuation, in every dialect", editSQLComment),
	sqlMutator("sql-comment-text", "what a comment says, in every dialect", editSQLCommentText),
	sqlMutator("sql-comparison", "another operator for the same comparison, in every dialect", editSQLComparison),
	sqlMutator("sql-number", "another expression for the same whole number, in every dialect", editSQLNumber),
	sqlMutator("sql-tautology", "another comparison that is always true, in every dialect", editSQLTautology),
	sqlMutator("sql-invariant", "OR something false, AND something true, in every dialect", editSQLInvariant),
	sqlMutator("sql-concatenation", "the same string of two parts, in the dialect that the payload gives away; without one, in PostgreSQL, Oracle and SQLite", editSQLConcatenation),
	sqlMutator("sql-mysql-logic", "&& for AND, || for OR, in MySQL and MariaDB; only in payloads that give them away", editMySQLLogic),
	sqlMutator("sql-mysql-version", "a keyword in a versioned comment, in MySQL and MariaDB; only in payloads that give them away", editMySQLVersion),
}

func sqlMutator(name, preserves string, edits func([]sqlSite, *rand.Rand) []edit) Mutator {
	return Mutator{name, "sqli", "the rows of the query: " + preserves, one(func(payload string, rng *rand.Rand) []edit {
		return edits(sqlSites(sqlTokens(payload)), rng)
	})}
}

var sqlKeyword = regexp.MustCompile(`(?i)^(select|union|all|from|where|and|or|not|like|between|in|is|null|order|group|by|having|limit|offset|as|distinct|insert|into|update|delete|drop|table|exists|case|when|then|else|end|sleep|benchmark|waitfor|delay|concat|substr|substring|ascii|char|count|cast|convert|version|database|true|false|join|on|asc|desc|if|exec|declare|md5|length|upper|lower|abs|coalesce)$`)

func editSQLCase(sites []sqlSite, rng *rand.Rand) (edits []edit) {
	for _, t := range sites {
		if t.kind == sqlWord && sqlKeyword.MatchString(t.text) {
			edits = append(edits, edit{t.lo, t.hi, flipCase(t.text, rng)})
		}
	}
	return edits
}

// blanks are the tokens that only separate others: not those that a comment of one line ends at.
func blanks(sites []sqlSite) (list []sqlSite) {
	for i, t := range sites {
		if t.kind == sqlBlank && (i == 0 || sites[i-1].kind != sqlLine) {
			list = append(list, t)
		}
	}
	return list
}

func editSQLBlank(sites []sqlSite, rng *rand.Rand) (edits []edit) {
	for _, t := range blanks(sites) {
		edits = append(edits, edit{t.lo, t.hi, pick(rng, "\t", "\n", "\f", "\r\n", "  ", " \t ")})
	}
	return edits
}

func editSQLBlankToComment(sites []sqlSite, rng *rand.Rand) (edits []edit) {
	for _, t := range blanks(sites) {
		edits = append(edits, edit{t.lo, t.hi, sqlCommentOf(rng)})
	}
	return edits
}

func sqlCommentOf(rng *rand.Rand) string {
	return "/*" + pick(rng, "", pick(rng, everyday...), words(rng, " "), strconv.Itoa(10+rng.IntN(90))) + "*/"
}

func editSQLBlankToLine(sites []sqlSite, rng *rand.Rand) (edits []edit) {
	for _, t := range blanks(sites) {
		if t.i > 0 && !sites[t.i-1].is("-") {
			edits = append(edits, edit{t.lo, t.hi, "-- " + words(rng, " ") + "\n"})
		}
	}
	return edits
}

// editSQLComment inserts no comment between a function and its parenthesis, where MySQL would not find the function.
func editSQLComment(sites []sqlSite, rng *rand.Rand) (edits []edit) {
	for _, t := range sites {
		if t.is("=", "<", ">", "<=", ">=", "<>", "!=", ",", "(") {
			edits = append(edits, edit{t.hi, t.hi, sqlCommentOf(rng)})
		}
		if t.is("=", "<", ">", "<=", ">=", "<>", "!=", ",", ")") {
			edits = append(edits, edit{t.lo, t.lo, sqlCommentOf(rng)})
		}
	}
	return edits
}

func editSQLCommentText(sites []sqlSite, rng *rand.Rand) (edits []edit) {
	for i, t := range sites {
		switch {
		case t.kind == sqlComment && strings.HasSuffix(t.text, "*/") && len(t.text) >= 4:
			edits = append(edits, edit{t.lo, t.hi, sqlCommentOf(rng)})
		case t.kind == sqlComment && i == len(sites)-1, t.kind == sqlLine:
			edits = append(edits, edit{t.hi, t.hi, " " + words(rng, " ")})
		}
	}
	return edits
}

// assigns reports whether an = may not compare.
func assigns(sites []sqlSite) bool {
	for _, t := range sites {
		if t.is("SET", "DECLARE", "EXEC", "EXECUTE", "UPDATE") {
			return true
		}
	}
	return false
}

func editSQLComparison(sites []sqlSite, _ *rand.Rand) (edits []edit) {
	for i, t := range sites {
		switch {
		case t.is("<>"):
			edits = append(edits, edit{t.lo, t.hi, "!="})
		case t.is("!="):
			edits = append(edits, edit{t.lo, t.hi, "<>"})
		case t.is("=") && t.next.kind == sqlNumber && t.i > 0 && !assigns(sites) && after(sites, i, 1).ends():
			n := t.next.text
			edits = append(edits, edit{t.lo, t.next.hi, " IN (" + n + ")"}, edit{t.lo, t.next.hi, " BETWEEN " + n + " AND " + n})
		}
	}
	return edits
}

// after returns the token that stands skip meaningful tokens behind the one that follows sites[i].
func after(sites []sqlSite, i, skip int) sqlToken {
	t := sites[i].next
	for j := i + 1; j < len(sites) && skip > 0; j++ {
		if sites[j].lo == t.lo {
			t = sites[j].next
			skip--
		}
	}
	return t
}

func editSQLNumber(sites []sqlSite, rng *rand.Rand) (edits []edit) {
	for _, t := range sites {
		if t.kind != sqlNumber || !t.next.ends() || strings.HasPrefix(t.text, "0") && t.text != "0" ||
			!t.before.is("=", "<", ">", "<=", ">=", "<>", "!=", "AND", "OR", "SELECT") {
			continue
		}
		n := t.text
		separate := ""
		if t.i > 0 && sites[t.i-1].kind == sqlWord {
			separate = " "
		}
		edits = append(edits, edit{t.lo, t.hi, separate + pick(rng, "("+n+")", "(SELECT "+n+")", n+"+0", n+"*1", "abs("+n+")", "("+n+"-0)")})
	}
	return edits
}

// opensCondition reports whether a comparison may begin after the token.
func (t sqlToken) opensCondition() bool { return t.is("OR", "AND", "WHERE", "HAVING", "||", "&&") }

func editSQLTautology(sites []sqlSite, rng *rand.Rand) (edits []edit) {
	for i, t := range sites {
		if !t.is("=") || assigns(sites) || betweens(sites) {
			continue
		}
		left, right := t.before, t.next
		if start := startOf(sites, left); !start.opensCondition() || start.text == "||" {
			continue
		}
		switch {
		case left.kind == sqlNumber && right.kind == sqlNumber && left.text == right.text && after(sites, i, 1).ends():
			edits = append(edits, edit{left.lo, right.hi, " " + truth(rng, strings.Contains(joined(sites), "'"))})
		case left.kind == sqlText && right.kind != sqlWord && strings.HasPrefix(right.text, "'") && right.kind <= sqlOpen &&
			strings.Trim(left.text, "'") == strings.Trim(right.text, "'") && strings.Count(left.text, "'") == 2:
			word := words(rng, " ")
			text := "'" + word + "'='" + word
			if right.kind == sqlText {
				text += "'"
			}
			edits = append(edits, edit{left.lo, right.hi, text})
		}
	}
	return edits
}

// startOf returns the meaningful token before another one.
func startOf(sites []sqlSite, t sqlToken) sqlToken {
	for _, s := range sites {
		if s.lo == t.lo {
			return s.before
		}
	}
	return sqlToken{}
}

// truth returns a true comparison. Strings are compared only in a payload that holds quotes anyway.
func truth(rng *rand.Rand, quotes bool) string {
	n := 2 + rng.IntN(97)
	word := pick(rng, everyday...)
	forms := []string{fmt.Sprintf("%d=%d", n, n), fmt.Sprintf("%d<%d", n, n+1+rng.IntN(9)),
		fmt.Sprintf("%d BETWEEN %d AND %d", n, n-1, n+1), fmt.Sprintf("%d IN (%d,%d)", n, n, n+1)}
	if quotes {
		forms = append(forms, "'"+word+"'='"+word+"'")
	}
	return pick(rng, forms...)
}

// betweens reports whether an AND may belong to a BETWEEN.
func betweens(sites []sqlSite) bool {
	for _, t := range sites {
		if t.is("BETWEEN") {
			return true
		}
	}
	return false
}

func editSQLInvariant(sites []sqlSite, rng *rand.Rand) (edits []edit) {
	n := 2 + rng.IntN(97)
	for i, t := range sites {
		if i+1 == len(sites) || t.next.text == "" || t.next.is("REPLACE") || sites[i+1].kind != sqlBlank && !sites[i+1].is("(") {
			continue
		}
		switch {
		case t.is("OR"):
			edits = append(edits, edit{t.hi, t.hi, fmt.Sprintf(" %d=%d OR", n, n+1)})
		case t.is("AND") && !betweens(sites):
			edits = append(edits, edit{t.hi, t.hi, fmt.Sprintf(" %d=%d AND", n, n)})
		}
	}
	return edits
}

func editSQLConcatenation(sites []sqlSite, rng *rand.Rand) (edits []edit) {
	payload := joined(sites)
	form := "('%s'||'%s')"
	switch {
	case isMySQL.MatchString(payload):
		form = "'%s' '%s'"
	case isMSSQL.MatchString(payload):
		form = "('%s'+'%s')"
	}
	for _, t := range sites {
		inner := strings.Trim(t.text, "'")
		if t.kind != sqlText || len(inner) < 2 || len(t.text) != len(inner)+2 || strings.Contains(inner, "'") ||
			!t.before.is("=", "<>", "!=", "SELECT") || !t.next.ends() {
			continue
		}
		cut := 1 + rng.IntN(len(inner)-1)
		edits = append(edits, edit{t.lo, t.hi, fmt.Sprintf(form, inner[:cut], inner[cut:])})
	}
	return edits
}

func joined(sites []sqlSite) string {
	var b strings.Builder
	for _, t := range sites {
		b.WriteString(t.text)
	}
	return b.String()
}

func editMySQLLogic(sites []sqlSite, _ *rand.Rand) (edits []edit) {
	if !isMySQL.MatchString(joined(sites)) {
		return nil
	}
	for _, t := range sites {
		switch {
		case t.is("OR"):
			edits = append(edits, edit{t.lo, t.hi, "||"})
		case t.is("AND") && !betweens(sites):
			edits = append(edits, edit{t.lo, t.hi, "&&"})
		}
	}
	return edits
}

func editMySQLVersion(sites []sqlSite, rng *rand.Rand) (edits []edit) {
	if !isMySQL.MatchString(joined(sites)) {
		return nil
	}
	for _, t := range sites {
		if t.is("SELECT", "UNION", "AND", "OR", "FROM", "WHERE", "ORDER", "BY", "LIMIT") {
			edits = append(edits, edit{t.lo, t.hi, "/*!" + pick(rng, "", "50000", "40100") + t.text + "*/"})
		}
	}
	return edits
}
