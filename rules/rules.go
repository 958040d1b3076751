// SPDX-License-Identifier: Apache-2.0

// Package rules holds the CRS plugin ml-verdict: the SecLang files that ask @detectAnomaly for its verdict and act
// on it. The files explain themselves; start with ml-verdict-config.conf.
package rules

import (
	"embed"
	"io/fs"
	"path"
	"strings"
)

// folder is where the files are found, as CRS's own are under @owasp_crs.
const folder = "@ml-verdict"

//go:embed plugins
var embedded embed.FS

// FS returns the rule files, as @ml-verdict/….
//
// What stands before @ml-verdict in a path is ignored: Coraza puts the including file's folder in front of an
// Include's path, and the rules are wanted from everywhere.
func FS() fs.FS { return anywhere{} }

// anywhere implements what mergefs asks of a file system, so that merging does not lose a method.
type anywhere struct{}

func (anywhere) Open(name string) (fs.File, error)          { return files.Open(local(name)) }
func (anywhere) ReadFile(name string) ([]byte, error)       { return fs.ReadFile(files, local(name)) }
func (anywhere) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(files, local(name)) }
func (anywhere) Glob(pattern string) ([]string, error)      { return fs.Glob(files, local(pattern)) }

var files = func() fs.FS {
	sub, err := fs.Sub(embedded, "plugins")
	if err != nil {
		panic(err) // the name of the embedded folder is not valid
	}
	return sub
}()

// local cuts everything before the folder's own name off a path. Other paths it leaves as they are.
func local(name string) string {
	clean := path.Clean(name)
	if i := strings.LastIndex("/"+clean+"/", "/"+folder+"/"); i >= 0 {
		return clean[i:]
	}
	return name
}
