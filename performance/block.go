// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/google/renameio/v2"
)

// replaceBlock puts a text between the lines "<!-- NAME: begin" … "-->" and "<!-- NAME: end -->" of a file.
func replaceBlock(file, name, text string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(content), "<!-- "+name+": begin")
	comment, rest, closes := strings.Cut(rest, "-->\n")
	_, after, ends := strings.Cut(rest, "<!-- "+name+": end -->")
	if !begins || !closes || !ends {
		return fmt.Errorf("%s has no block %q (want <!-- %[2]s: begin --> and <!-- %[2]s: end -->)", file, name)
	}
	whole := before + "<!-- " + name + ": begin" + comment + "-->\n" + strings.TrimSpace(text) + "\n<!-- " + name + ": end -->" + after
	return renameio.WriteFile(file, []byte(whole), 0o644)
}
