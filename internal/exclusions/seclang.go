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
	"path":   {"REQUEST_FILENAME", "REQUEST_BASENAME", "REQUEST_URI", "REQUEST_URI_RAW", "REQUEST_LINE"},
	"file":   {"FILES", "FILES_NAMES"},
	"xml":    {"XML"},
	"body":   {"REQUEST_BODY"},
}

// Directives writes exclusions in SecLang, to stand after CRS's rules.
func Directives(list []Exclusion) string {
	var b strings.Builder
	for _, e := range list {
		if e.Kind == "" {
			fmt.Fprintf(&b, "SecRuleRemoveById %d\n", e.Rule)
			continue
		}
		var targets []string
		for _, v := range variablesOf[e.Kind] {
			if e.Selector != "" {
				v += ":" + e.Selector
			}
			targets = append(targets, "!"+v)
		}
		fmt.Fprintf(&b, "SecRuleUpdateTargetById %d \"%s\"\n", e.Rule, strings.Join(targets, "|"))
	}
	return b.String()
}
