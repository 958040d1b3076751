// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
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
	return tryFolder(flag, path, filepath.Dir(path))
}

// tryFolder makes a file in a folder and removes it: permissions alone do not tell whether that is possible.
func tryFolder(flag, path, folder string) error {
	file, err := os.CreateTemp(folder, ".mlverdict-")
	if err != nil {
		return usagef("%s %s: no file can be made in folder %s: %w", flag, path, folder, err)
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

// output is a file to be written, and what names it.
type output struct{ name, path string }

// checkDistinct refuses two outputs that are one file, of which the second would take the place of the first. Empty paths are
// none.
func checkDistinct(outputs ...output) error {
	for i, a := range outputs {
		for _, b := range outputs[:i] {
			if a.path != "" && b.path != "" && sameFile(a.path, b.path) {
				return usagef("%s and %s are one file, %s (want a file for each)", b.name, a.name, b.path)
			}
		}
	}
	return nil
}

// sameFile tells whether two paths lead to one file, be it one that is not there yet.
func sameFile(a, b string) bool {
	there, err := os.Stat(a)
	other, otherErr := os.Stat(b)
	if err == nil && otherErr == nil {
		return os.SameFile(there, other)
	}
	return resolved(a) == resolved(b)
}

// resolved is the path of a file from the root, without links among its folders.
func resolved(path string) string {
	path, _ = filepath.Abs(path) // fails only where the working directory is gone, and then nothing can be written
	if folder, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(folder, filepath.Base(path))
	}
	return path
}

// checkFolder refuses as early the folder of a flag that could not be made, with those above it. An empty path is none.
func checkFolder(flag, path string) error {
	for at := filepath.Clean(path); path != ""; at = filepath.Dir(at) {
		switch info, err := os.Stat(at); {
		case err == nil && info.IsDir():
			return tryFolder(flag, path, at)
		case err == nil:
			return usagef("%s %s: %s is no folder", flag, path, at)
		case at == filepath.Dir(at):
			return usagef("%s %s: %w", flag, path, err)
		}
	}
	return nil
}
