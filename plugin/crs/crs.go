// SPDX-License-Identifier: Apache-2.0

// Package crs joins the second verdict with the OWASP CRS that coraza-coreruleset embeds. A program needs this:
//
//	waf, err := coraza.NewWAF(coraza.NewWAFConfig().
//		WithRootFS(crs.FS()).
//		WithDirectives(crs.Directives()))
//
// # Side effect of the import
//
// Importing this package, blank too, replaces [coreruleset.FS] by one that also holds @ml-verdict/…. It is the only
// way into coraza-caddy, which merges that file system with the disk for its directive load_owasp_crs and offers no
// other hook: a Caddy built with this package can `Include @ml-verdict/*-config.conf`.
package crs

import (
	"io/fs"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/jcchavezs/mergefs"
	"github.com/jcchavezs/mergefs/io"

	"github.com/mlverdict/mlverdict/internal/waf/seclang"
	"github.com/mlverdict/mlverdict/plugin"
)

var merged = mergefs.Merge(coreruleset.FS, plugin.FS())

func init() { coreruleset.FS = merged }

// FS returns a file system of CRS (@owasp_crs/…, @crs-setup.conf.example, @coraza.conf-recommended), the plugin's
// rules (@ml-verdict/…) and the disk, for [coraza.WAFConfig.WithRootFS].
func FS() fs.FS { return mergefs.Merge(merged, io.OSFS) }

// Directives returns the directives of a WAF that blocks: Coraza's recommended configuration with the engine on, the
// limit on arguments that the embedded copy lacks, CRS with its defaults, and the second verdict.
//
// CRS's settings and rules for some requests go before it, in a WithDirectives of their own; what the recommended
// configuration sets is overridden after it:
//
//	WithDirectives(`SecAction "id:1,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level=2"`).
//	WithDirectives(crs.Directives()).
//	WithDirectives(`SecResponseBodyAccess Off`)
func Directives(options ...plugin.Option) string {
	return seclang.Blocking(plugin.BeforeCRS(options...), plugin.AfterCRS())
}
