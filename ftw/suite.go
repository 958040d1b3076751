// SPDX-License-Identifier: Apache-2.0

// Package ftw runs CRS's regression tests and the plugin's own with go-ftw, the tool that CRS is tested with, against
// a Coraza in the same process or against any server.
package ftw

import (
	"embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"testing"
	"time"

	crstests "github.com/corazawaf/coraza-coreruleset/v4/tests"
	"github.com/coreruleset/go-ftw/v2/config"
	"github.com/coreruleset/go-ftw/v2/output"
	"github.com/coreruleset/go-ftw/v2/runner"
	"github.com/coreruleset/go-ftw/v2/test"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// Family is a rule family: the tests of one file of CRS's rules, such as REQUEST-942-APPLICATION-ATTACK-SQLI.
type Family struct {
	Name  string
	Files []*test.FTWTest
}

// CRS returns the regression tests of the CRS that coraza-coreruleset embeds, by family in the order of the rules.
func CRS() ([]Family, error) { return families(crstests.FS) }

//go:embed tests/regression
var own embed.FS

// Own returns the plugin's tests. They need a server with the directives of [Settings].
func Own() ([]Family, error) {
	sub, err := fs.Sub(own, "tests/regression")
	if err != nil {
		return nil, err
	}
	return families(sub)
}

// Settings are directives for a server that is tested with [Own], before the plugin's: they let a test choose the
// plugin's settings with a header of its request.
//
//go:embed tests/settings.conf
var Settings string

// Config is go-ftw's configuration for Go servers.
//
//go:embed .ftw.yml
var Config string

func families(tests fs.FS) (list []Family, err error) {
	folders, err := fs.ReadDir(tests, ".")
	if err != nil {
		return nil, err
	}
	for _, folder := range folders {
		f := Family{Name: folder.Name()}
		files, err := fs.Glob(tests, path.Join(folder.Name(), "*.yaml"))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			content, err := fs.ReadFile(tests, file)
			if err != nil {
				return nil, err
			}
			parsed, err := test.GetTestFromYaml(content, path.Base(file))
			if err != nil {
				return nil, fmt.Errorf("ftw: %s: %w", file, err)
			}
			f.Files = append(f.Files, parsed)
		}
		list = append(list, f)
	}
	return list, nil
}

// Server is what the tests are sent to.
type Server struct {
	Host string
	Port int
	Log  string // the file that the server's rules are logged to; without it only status codes are judged
}

// overrides is what differs on Go servers.
//
//go:embed .ftw-overrides.yml
var overrides []byte

// Run sends the tests to a server and judges its answers and its log.
func Run(t testing.TB, server Server, tests []Family) *runner.RunStats {
	t.Helper()
	c, err := config.NewConfigFromString(Config)
	require.NoError(t, err)
	if c.LogFile = server.Log; server.Log == "" {
		c.RunMode = config.CloudRunMode
	}
	c.TestOverride.Overrides.DestAddr = &server.Host
	c.TestOverride.Overrides.Port = &server.Port
	r := config.NewRunnerConfiguration(c)
	r.ConnectTimeout, r.ReadTimeout = time.Minute, time.Minute // a busy machine is no failed test
	file := filepath.Join(t.TempDir(), "overrides.yml")
	require.NoError(t, os.WriteFile(file, overrides, 0o600)) // go-ftw wants a file
	require.NoError(t, r.LoadPlatformOverrides(file))
	var files []*test.FTWTest
	for _, family := range tests {
		files = append(files, family.Files...)
	}
	result, err := runner.Run(r, files, output.NewOutput("quiet", io.Discard))
	require.NoError(t, err)
	return result.Stats
}

func init() { zerolog.SetGlobalLevel(zerolog.Disabled) } // go-ftw logs what its statistics say, too
