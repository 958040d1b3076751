// SPDX-License-Identifier: Apache-2.0

package exclusions

import (
	"fmt"
	"strings"
)

// variablesOf are the names by which CRS's rules know a kind of variable.
var variablesOf = map[string][]string{
	"args":   {"ARGS", "ARGS_GET", "ARGS_POST"},
	"names":  {"ARGS_NAMES", "ARGS_GET_NAMES", "ARGS_POST_NAMES", "REQUEST_COOKIES_NAMES"},
	"cookie": {"REQUEST_COOKIES"},
	"header": {"REQUEST_HEADERS"},
	"query":  {"QUERY_STRING"},
	"path":   {"REQUEST_FILENAME", "REQUEST_BASENAME", "REQUEST_URI", "REQUEST_URI_RAW", "REQUEST_LINE"},
	"file":   {"FILES", "FILES_NAMES"},
	"xml":    {"XML"},
	"body":   {"REQUEST_BODY"},
}

// Directives writes exclusions in SecLang, to stand after CRS's rules: for any CRS, with every variable of a kind.
func Directives(list []Exclusion) string {
	var b strings.Builder
	for _, e := range list {
		b.WriteString(e.directive(variablesOf[e.Kind]) + "\n")
	}
	return b.String()
}

// String writes the exclusion in SecLang, to stand after CRS's rules, with the variables that the rule reads.
func (e Exclusion) String() string { return e.directive(variables(e)) }

func (e Exclusion) directive(variables []string) string {
	if e.Kind == "" {
		return fmt.Sprintf("SecRuleRemoveById %d", e.Rule)
	}
	var targets []string
	for _, v := range variables {
		if e.Selector != "" {
			v += ":" + e.Selector
		}
		targets = append(targets, "!"+v)
	}
	return fmt.Sprintf("SecRuleUpdateTargetById %d \"%s\"", e.Rule, strings.Join(targets, "|"))
}
