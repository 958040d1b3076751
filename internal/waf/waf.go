// SPDX-License-Identifier: Apache-2.0

// Package waf builds the WAFs of the command mlverdict: one place, so that what is trained on, evaluated and served is
// the same Coraza with the same CRS.
package waf

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/types"

	"github.com/mlverdict/mlverdict/internal/waf/seclang"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/plugin"
	"github.com/mlverdict/mlverdict/plugin/crs"
)

// Config is what the commands choose of a WAF: Coraza's recommended configuration with the engine on and CRS with its
// defaults, without response bodies and audit log.
type Config struct {
	Paranoia      int  // blocking and detection paranoia level of CRS, 1..4
	EarlyBlocking bool // let CRS deny in phase 1, too

	Plugin          bool   // add the second verdict; without it CRS decides alone and the following fields must be unset
	Mode            string // mode of the plugin; "" is its default
	Threshold       int    // score, 1..99; 0 is the plugin's default
	DetectThreshold int    // score, 1..99; 0 is the plugin's default
	ModelPath       string // model file; "" is the embedded one

	// ExtraDirectives stand before those of the plugin and of CRS and after all else.
	ExtraDirectives string

	// AfterCRS stands after the rules of CRS and before those of the plugin: where rules are excluded.
	AfterCRS string

	ErrorLog func(types.MatchedRule) // called for every rule that logs; may be nil
}

// New builds a WAF. Its errors name the setting that is wrong.
func New(c Config) (coraza.WAF, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	config := coraza.NewWAFConfig().WithRootFS(crs.FS()).WithDirectives(c.directives())
	if c.ErrorLog != nil {
		config = config.WithErrorCallback(c.ErrorLog)
	}
	w, err := coraza.NewWAF(config)
	if err != nil {
		return nil, fmt.Errorf("waf: %w", err)
	}
	return w, nil
}

func (c *Config) check() error {
	switch {
	case c.Paranoia < 1 || c.Paranoia > 4:
		return fmt.Errorf("waf: paranoia level %d: want 1 to 4", c.Paranoia)
	case c.Mode != "" && !slices.Contains(plugin.Modes(), plugin.Mode(c.Mode)):
		return fmt.Errorf("waf: mode %q: want one of %s", c.Mode, plugin.Modes())
	case !isThreshold(c.Threshold):
		return fmt.Errorf("waf: threshold %d: want %d to %d", c.Threshold, model.MinScore, model.MaxScore)
	case !isThreshold(c.DetectThreshold):
		return fmt.Errorf("waf: detect threshold %d: want %d to %d", c.DetectThreshold, model.MinScore, model.MaxScore)
	case strings.ContainsAny(c.ModelPath, "`\n"):
		return fmt.Errorf("waf: model %q: a path must not hold backticks or line breaks", c.ModelPath)
	case !c.Plugin && (c.Mode != "" || c.Threshold != 0 || c.DetectThreshold != 0 || c.ModelPath != ""):
		return fmt.Errorf("waf: mode, thresholds and model need the plugin")
	}
	return nil
}

func isThreshold(score int) bool {
	return score == 0 || score >= model.MinScore && score <= model.MaxScore
}

func (c *Config) directives() string {
	var b strings.Builder
	b.WriteString("SecResponseBodyAccess Off\nSecAuditEngine Off\n")
	fmt.Fprintf(&b, "SecAction \"id:9529001,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level=%d\"\n", c.Paranoia)
	if c.EarlyBlocking {
		b.WriteString("SecAction \"id:9529002,phase:1,pass,nolog,setvar:tx.early_blocking=1\"\n")
	}
	b.WriteString(c.ExtraDirectives + "\n")
	if !c.Plugin {
		b.WriteString("Include @ml-verdict/ml-verdict-repeats-before.conf\n") // the plugin's own directives include it
		return seclang.Blocking(b.String(), c.AfterCRS)
	}
	b.WriteString(plugin.BeforeCRS(c.options()...))
	return seclang.Blocking(b.String(), c.AfterCRS+"\n"+plugin.AfterCRS())
}

// Digest tells WAFs apart: SHA-256 of the directives and of the plugin's rule files, which a directive may include. CRS and
// Coraza have versions of their own.
func (c *Config) Digest() (digest [sha256.Size]byte, err error) {
	h := sha256.New()
	io.WriteString(h, c.directives())
	files, err := fs.Glob(plugin.FS(), "@ml-verdict/*")
	for _, file := range files {
		var text []byte
		if text, err = fs.ReadFile(plugin.FS(), file); err != nil {
			break
		}
		fmt.Fprintf(h, "\n%s %d\n%s", file, len(text), text)
	}
	if err != nil {
		return digest, fmt.Errorf("waf: %w", err)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

func (c *Config) options() (options []plugin.Option) {
	if c.Mode != "" {
		options = append(options, plugin.WithMode(plugin.Mode(c.Mode)))
	}
	if c.Threshold != 0 {
		options = append(options, plugin.WithThreshold(c.Threshold))
	}
	if c.DetectThreshold != 0 {
		options = append(options, plugin.WithDetectThreshold(c.DetectThreshold))
	}
	if c.ModelPath != "" {
		options = append(options, plugin.WithModel(c.ModelPath))
	}
	return options
}
