// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"path/filepath"

	"golang.org/x/term"
)

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// checkOutput refuses, before hours of work, the file of a flag that could not be put in place, or that would take the place
// of an input or of something that is no regular file. Of a symbolic link path becomes what it leads to: that is written, and
// the link stays. An empty path, standard output, is nothing to check.
func checkOutput(flag string, path *string, inputs ...string) error {
	if *path == "" {
		return nil
	}
	if info, err := os.Lstat(*path); err == nil && info.Mode()&os.ModeSymlink != 0 {
		target, err := filepath.EvalSymlinks(*path)
		if err != nil {
			return usagef("%s %s is a link that leads nowhere (want a file, or a link to one)", flag, *path)
		}
		*path = target
	}
	return checkFile(flag, *path, inputs)
}

func checkFile(flag, path string, inputs []string) error {
	info, err := os.Stat(path)
	switch {
	case path == "-":
		return usagef("%s -: want the name of a file", flag)
	case err == nil && info.IsDir():
		return usagef("%s %s is a folder (want a file)", flag, path)
	case err == nil && !info.Mode().IsRegular():
		return usagef("%s %s is no regular file (want one, or a new one)", flag, path)
	case err == nil:
		for _, input := range inputs {
			if in, err := os.Stat(input); err == nil && os.SameFile(info, in) {
				return usagef("%s %s is an input, too, and would be lost (want another file)", flag, path)
			}
		}
	default:
		if folder, err := os.Stat(filepath.Dir(path)); err != nil || !folder.IsDir() {
			return usagef("%s %s: there is no folder %s", flag, path, filepath.Dir(path))
		}
	}
	return nil
}

// checkFolder refuses as early the folder of a flag that could not be made, with those above it. An empty path is none.
func checkFolder(flag, path string) error {
	for at := filepath.Clean(path); path != ""; at = filepath.Dir(at) {
		switch info, err := os.Stat(at); {
		case err == nil && info.IsDir():
			return nil
		case err == nil:
			return usagef("%s %s: %s is no folder", flag, path, at)
		case at == filepath.Dir(at):
			return usagef("%s %s: %w", flag, path, err)
		}
	}
	return nil
}
