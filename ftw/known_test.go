// SPDX-License-Identifier: Apache-2.0

//go:build !coraza.rule.multiphase_evaluation

package ftw

// knownFailures are tests of CRS that fail with Coraza, with or without the plugin.
var knownFailures = []string{}
