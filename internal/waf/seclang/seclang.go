// SPDX-License-Identifier: Apache-2.0

// Package seclang writes the directives that every WAF of this module starts from.
package seclang

import "strings"

// Blocking returns the directives of a WAF that blocks with the embedded CRS, with directives of the caller's before
// and after CRS's rules.
func Blocking(before, after string) string {
	return strings.Join([]string{
		"Include @coraza.conf-recommended",
		"Include @ml-verdict/argument-limit.conf",
		"SecRuleEngine On",
		"Include @crs-setup.conf.example",
		// CRS 4.25.0 has default actions for the phases 1 and 2 only, and without one its report in phase 5 (980170)
		// is not logged.
		`SecDefaultAction "phase:3,log,auditlog,pass"`,
		`SecDefaultAction "phase:4,log,auditlog,pass"`,
		`SecDefaultAction "phase:5,log,auditlog,pass"`,
		before,
		"Include @owasp_crs/*.conf",
		after,
	}, "\n")
}
