// SPDX-License-Identifier: Apache-2.0

package ftw

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/corazawaf/coraza/v3"
	corazahttp "github.com/corazawaf/coraza/v3/http"
	"github.com/corazawaf/coraza/v3/types"
	albedo "github.com/coreruleset/albedo/server"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/plugin/crs"
)

// Marker are directives that write go-ftw's marks into the log. The marking requests go past all rules after it.
// Without a severity coraza-caddy would not log the rule.
const Marker = `
SecRule REQUEST_HEADERS:X-CRS-Test "@rx ^.*$" \
    "id:9529999,phase:1,pass,t:none,log,msg:'X-CRS-Test %{MATCHED_VAR}',severity:'NOTICE',ctl:ruleRemoveByTag=OWASP_CRS"
`

// Regression are the directives before CRS's rules that its tests are written for: DetectionOnly at paranoia level 4.
const Regression = `
Include @coraza.conf-recommended
SecDefaultAction "phase:3,log,auditlog,pass"
SecDefaultAction "phase:4,log,auditlog,pass"
SecDefaultAction "phase:5,log,auditlog,pass"
SecAction "id:9529900,phase:1,pass,nolog,\
    ctl:ruleEngine=DetectionOnly,\
    setvar:tx.blocking_paranoia_level=4,\
    setvar:tx.crs_validate_utf8_encoding=1,\
    setvar:tx.arg_name_length=100,\
    setvar:tx.arg_length=400,\
    setvar:tx.total_arg_length=64000,\
    setvar:tx.max_num_args=255,\
    setvar:tx.max_file_size=64100,\
    setvar:tx.combined_file_sizes=65535"
` + Marker + `
Include @crs-setup.conf.example
`

// Serve starts Coraza, in front of the backend that CRS's tests are written for, until the test ends.
func Serve(t testing.TB, directives string) Server {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "error.log"))
	require.NoError(t, err)
	t.Cleanup(func() { log.Close() })
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().
		WithRootFS(crs.FS()).
		WithDirectives(directives).
		WithErrorCallback(func(rule types.MatchedRule) { log.WriteString(rule.ErrorLog() + "\n") }))
	require.NoError(t, err)
	return Listen(t, waf, log.Name())
}

// Listen is Serve for a WAF that logs to a file by itself.
func Listen(t testing.TB, waf coraza.WAF, log string) Server {
	t.Helper()
	s := httptest.NewServer(corazahttp.WrapHandler(waf, Backend()))
	t.Cleanup(s.Close)
	host, port, err := net.SplitHostPort(s.Listener.Addr().String())
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	return Server{Host: host, Port: number, Log: log}
}

// Backend is albedo, the application that CRS's tests are written for, with a type for every response: Coraza reads the
// bodies of known types only, and in one process with it net/http would find the type after Coraza has asked for it.
func Backend() http.Handler {
	reflector := albedo.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		reflector.ServeHTTP(w, r)
	})
}

func init() { slog.SetDefault(slog.New(slog.DiscardHandler)) } // albedo logs every request
