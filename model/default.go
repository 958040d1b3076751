// SPDX-License-Identifier: Apache-2.0

package model

import (
	_ "embed"
	"sync"
)

//go:embed default.model
var defaultFile []byte

// Default returns the embedded model; see default.md beside it for what it was trained on and how far to trust it.
func Default() *Model { return loadDefault() }

var loadDefault = sync.OnceValue(func() *Model {
	m, err := Read(defaultFile)
	if err != nil {
		panic(err) // a build with a broken file; the tests hold that none ships
	}
	return m
})
