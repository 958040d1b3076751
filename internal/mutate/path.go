// SPDX-License-Identifier: Apache-2.0

package mutate

import (
	"math/rand/v2"
	"regexp"
	"strings"
)

// pathMutators keep the file that a path leads to. The tests hold them to it with [path.Clean].
var pathMutators = []Mutator{
	pathMutator("path-dot", "on every system", "./"),
	pathMutator("path-slash", "on every system", "/"),
	pathMutator("path-back", "for receivers that resolve a path by its text, as PHP, Java, Node and Go do", ""),
	{"path-root", "lfi", "the file: above the root is the root, on every system", one(editPathRoot)},
	{"path-start", "lfi", "the file: a relative path begins here, on every system", one(editPathStart)},
	{"path-windows", "lfi", "the file: slashes for backslashes, more of them, or a dot between, on Windows; only in payloads that name files of Windows", one(editPathWindows)},
}

// pathMutator inserts a text, or the name of a folder and the way out of it, behind a slash.
func pathMutator(name, where, insert string) Mutator {
	return Mutator{name, "lfi", "the file: " + where, one(func(payload string, rng *rand.Rand) (edits []edit) {
		for _, i := range slashes(payload) {
			text := insert
			if text == "" {
				text = words(rng, "-") + "/../"
			}
			edits = append(edits, edit{i + 1, i + 1, text})
		}
		return edits
	})}
}

// slashes lists the places of the slashes in a path, behind the scheme of a URL and before a NUL byte.
func slashes(payload string) (list []int) {
	start := 0
	if i := strings.Index(payload, "://"); i >= 0 {
		start = i + 3
	}
	for i := start; i < len(payload) && payload[i] != 0; i++ {
		if payload[i] == '/' {
			list = append(list, i)
		}
	}
	return list
}

func editPathRoot(payload string, _ *rand.Rand) []edit {
	if !strings.HasPrefix(payload, "/") {
		return nil
	}
	return []edit{{0, 0, "/.."}, {0, 0, "/../.."}}
}

func editPathStart(payload string, rng *rand.Rand) []edit {
	if !strings.HasPrefix(payload, "../") && !strings.HasPrefix(payload, "./") {
		return nil
	}
	return []edit{{0, 0, "./"}, {0, 0, ".//"}, {0, 0, words(rng, "-") + "/../"}}
}

var windowsFile = regexp.MustCompile(`(?i)\b(boot\.ini|win\.ini|system\.ini|windows|winnt|inetpub|[c-e]:)`)

func editPathWindows(payload string, rng *rand.Rand) (edits []edit) {
	if !windowsFile.MatchString(payload) {
		return nil
	}
	for i := range len(payload) {
		if payload[i] == '\\' {
			edits = append(edits, edit{i, i + 1, pick(rng, `/`, `\.\`, `\\`, `\./`)})
		}
	}
	return edits
}
