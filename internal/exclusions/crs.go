// SPDX-License-Identifier: Apache-2.0

package exclusions

import (
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/mlverdict/mlverdict/plugin/crs"
)

// crsRule is what the embedded CRS says of a rule.
type crsRule struct {
	variables []string // that it reads, without selectors; REQUEST_HEADERS:Cookie where it reads that header, too
	message   string
}

// crsRules reads the rules of the embedded CRS, by id.
var crsRules = sync.OnceValue(func() map[int]crsRule {
	rules := map[int]crsRule{}
	files, err := fs.Glob(crs.FS(), "@owasp_crs/*.conf")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, file := range files {
		text, err := fs.ReadFile(crs.FS(), file)
		if err != nil {
			panic(err) // it is embedded
		}
		for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
			if m := secRule.FindStringSubmatch(line); m != nil {
				id, _ := strconv.Atoi(m[2]) // digits alone
				r := crsRule{}
				targets := strings.Split(m[1], "|")
				for _, v := range targets {
					name, _, _ := strings.Cut(v, ":")
					r.variables = append(r.variables, name)
				}
				if slices.Contains(targets, "REQUEST_HEADERS") && !slices.Contains(targets, "!REQUEST_HEADERS:Cookie") {
					r.variables = append(r.variables, "REQUEST_HEADERS:Cookie")
				}
				if m := message.FindStringSubmatch(line); m != nil {
					r.message = m[1]
				}
				rules[id] = r
			}
		}
	}
	return rules
})

var (
	secRule = regexp.MustCompile(`^SecRule (\S+) .*"\s*id:([0-9]+),`)
	message = regexp.MustCompile(`,\s*msg:'([^']*)'`)
)

// Message is what CRS says when the rule matches, empty for a rule that the embedded CRS does not have.
func Message(rule int) string { return crsRules()[rule].message }

// variables are those that an exclusion names: of its kind, those that the rule reads. A rule that the embedded CRS does
// not have may read all of them.
func variables(e Exclusion) (list []string) {
	r, known := crsRules()[e.Rule]
	for _, v := range variablesOf[e.Kind] {
		if !known || slices.Contains(r.variables, v) {
			list = append(list, v)
		}
	}
	return list
}
