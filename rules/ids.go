// SPDX-License-Identifier: Apache-2.0

package rules

// The block of rule ids that the plugin uses; provisional until CRS's registry has it.
const (
	FirstID = 9_529_000
	LastID  = 9_529_999
)

// Owns reports whether a rule id is one of the plugin's.
func Owns(id int) bool { return id >= FirstID && id <= LastID }
