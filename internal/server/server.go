// SPDX-License-Identifier: Apache-2.0

// Package server is mlverdict's reverse proxy: every request goes through Coraza's own net/http connector, then to
// an upstream or, without one, to a built-in page that shows what the two verdicts say.
//
// The connector answers a denial with a bare status and keeps its transaction to itself. Around it the server adds what
// people want to see: one log line for each request, and a page for those that are denied.
package server

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/corazawaf/coraza/v3"
	corazahttp "github.com/corazawaf/coraza/v3/http"
)

// Config is what a server needs.
type Config struct {
	WAF      coraza.WAF
	Upstream *url.URL     // nil for the built-in page
	Access   *slog.Logger // one line for each request
	Errors   *slog.Logger // what went wrong: upstream not reachable, request not readable
}

type handler struct {
	Config
	waf http.Handler // Coraza's connector around the upstream or the page
}

// New returns the handler that guards the upstream or the built-in page.
func New(cfg Config) http.Handler {
	inner := http.Handler(http.HandlerFunc(serveDemo))
	if cfg.Upstream != nil {
		inner = newProxy(cfg.Upstream, cfg.Errors)
	}
	return &handler{cfg, corazahttp.WrapHandler(observed{cfg.WAF}, inner)}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w}
	defer h.log(r, x, time.Now())
	h.waf.ServeHTTP(x, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
	switch {
	case x.denied:
		h.serveDenied(w, r, x)
	case x.status == 0: // the connector says nothing when it cannot read the request
		x.status = http.StatusBadRequest
		http.Error(w, "The request could not be read.", x.status)
	}
}

// Bounds of what a client chooses in a log line, in bytes. The longest registered method has 17.
const (
	maxMethod = 32
	maxPath   = 256
)

func cut(text string, limit int) string {
	if len(text) > limit {
		return text[:limit] + "…"
	}
	return text
}

func (h *handler) log(r *http.Request, x *exchange, start time.Time) {
	v := &x.verdict
	h.Access.LogAttrs(r.Context(), slog.LevelInfo, "request",
		slog.Int("status", x.status),
		slog.String("method", cut(r.Method, maxMethod)),
		slog.String("path", cut(r.URL.Path, maxPath)),
		slog.String("verdict", string(v.Decision)),
		slog.Int("crs_score", v.CRS.Score),
		slog.Int("crs_threshold", v.CRS.Threshold),
		slog.Int("ml_score", v.ML.Score),
		slog.Int("ml_threshold", v.ML.Threshold),
		slog.String("class", v.ML.Class),
		slog.String("reason", v.ML.Reason),
		slog.Int("rule", v.Rule),
		slog.String("mode", v.Mode),
		slog.String("tx", v.Transaction),
		slog.String("client", r.RemoteAddr),
		slog.Duration("took", time.Since(start)),
	)
}
