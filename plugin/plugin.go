// SPDX-License-Identifier: Apache-2.0

// Package plugin brings the second verdict into a program that uses Coraza: importing it registers the operator
// @detectAnomaly, [FS] holds the rule files, and [BeforeCRS] and [AfterCRS] are the directives that belong before and
// after those of the OWASP CRS.
//
// A program whose CRS lies on disk:
//
//	waf, err := coraza.NewWAF(coraza.NewWAFConfig().
//		WithRootFS(mergefs.Merge(plugin.FS(), io.OSFS)).
//		WithDirectivesFromFile("/etc/crs/crs-setup.conf").
//		WithDirectives(plugin.BeforeCRS(plugin.WithMode(plugin.Shadow))).
//		WithDirectivesFromFile("/etc/crs/rules/*.conf").
//		WithDirectives(plugin.AfterCRS()))
//
// With the CRS that coraza-coreruleset embeds it is shorter, see [github.com/mlverdict/mlverdict/plugin/crs]. This
// package depends on nothing but Coraza.
package plugin

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	_ "github.com/mlverdict/mlverdict/operators" // registers @detectAnomaly
	"github.com/mlverdict/mlverdict/rules"
)

// FS returns the rule files, as @ml-verdict/…, to be merged into the root file system of a WAF.
func FS() fs.FS { return rules.FS() }

// Mode is what the second verdict may do.
type Mode string

// The modes. In each of them CRS decides alone where the model cannot answer.
const (
	SecondVerdict Mode = "second_verdict" // deny what CRS and the model flag: the default
	Shadow        Mode = "shadow"         // deny what CRS flags, log what SecondVerdict would have done
	Detect        Mode = "detect"         // as SecondVerdict, and deny what the model is sure of although CRS does not flag it
	MLOnly        Mode = "ml_only"        // deny what the model flags, whatever CRS says
)

// Modes returns all modes.
func Modes() []Mode { return []Mode{SecondVerdict, Shadow, Detect, MLOnly} }

// Option sets what [BeforeCRS] sets up. Values that are not allowed are found when the WAF runs: it logs them, with
// the setting's name, and CRS decides alone.
type Option func(*settings)

type settings struct {
	model, mode, threshold, detectThreshold string // "" = the default
}

// WithMode sets the mode. The default is [SecondVerdict].
func WithMode(m Mode) Option {
	return func(s *settings) { s.mode = string(m) }
}

// WithThreshold sets the score, 1 to 99, at or below which the model flags a request. The default is 50.
func WithThreshold(score int) Option {
	return func(s *settings) { s.threshold = strconv.Itoa(score) }
}

// WithDetectThreshold sets the score, 1 to 99, at or below which [Detect] denies what CRS does not flag. The default
// is 40; `mlverdict tune` tells the value that suits a model.
func WithDetectThreshold(score int) Option {
	return func(s *settings) { s.detectThreshold = strconv.Itoa(score) }
}

// WithModel names the model file, a path in the WAF's root file system. The default is the embedded model. A file that
// cannot be read makes [github.com/corazawaf/coraza/v3.NewWAF] fail.
func WithModel(path string) Option {
	return func(s *settings) { s.model = path }
}

// BeforeCRS returns the directives that belong after crs-setup and before the rules of CRS. What the options set holds
// where no rule sets the plugin's variables; such rules may stand before or after these directives.
func BeforeCRS(options ...Option) string {
	var s settings
	for _, option := range options {
		option(&s)
	}
	var b strings.Builder
	if s.model != "" {
		fmt.Fprintf(&b, "SecDataset ml-verdict-model `\n%s\n`\n", s.model)
	}
	for i, variable := range [...]struct{ name, value string }{
		{"mode", s.mode}, {"threshold", s.threshold}, {"detect_threshold", s.detectThreshold},
	} {
		if variable.value != "" {
			fmt.Fprintf(&b, "SecRule &TX:ml-verdict-plugin_%[1]s \"@eq 0\""+
				" \"id:%[2]d,phase:1,pass,nolog,setvar:'tx.ml-verdict-plugin_%[1]s=%[3]s'\"\n",
				variable.name, 9529016+i, variable.value)
		}
	}
	b.WriteString("Include @ml-verdict/*-config.conf\nInclude @ml-verdict/*-before.conf\n")
	return b.String()
}

// AfterCRS returns the directives that belong after the rules of CRS.
func AfterCRS() string { return "Include @ml-verdict/*-after.conf\n" }
