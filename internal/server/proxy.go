// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// ParseUpstream reads the URL of an upstream.
func ParseUpstream(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("server: upstream %q (want such as http://localhost:3000 or https://app.internal/base)", raw)
	}
	return u, nil
}

// newProxy hands requests on as they came: the same Host, the same query even where it cannot be parsed, X-Forwarded-*
// added.
func newProxy(upstream *url.URL, errs *slog.Logger) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			r.SetXForwarded()
			r.Out.Host = r.In.Host
			r.Out.URL.RawQuery = r.In.URL.RawQuery
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if !errors.Is(err, context.Canceled) { // the client went away
				errs.Error("upstream does not answer", "upstream", upstream.Redacted(), "error", err)
			}
			serveBadGateway(w, r)
		},
		ErrorLog: slog.NewLogLogger(errs.Handler(), slog.LevelWarn),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxy.ServeHTTP(finalOnly{w}, r)
	})
}

// finalOnly drops informational responses such as 103: the connector would take them for the response itself.
type finalOnly struct{ http.ResponseWriter }

func (w finalOnly) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status)
	}
}

// Unwrap is how net/http finds Flush and Hijack.
func (w finalOnly) Unwrap() http.ResponseWriter { return w.ResponseWriter }
