// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	_ "embed"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/coreruleset/go-ftw/v2/config"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/ftw"
)

// plainSite is a Caddyfile whose only site speaks HTTP without TLS, for go-ftw.
const plainSite = `{
	admin unix/%[1]s/admin.sock
	order coraza_waf first
	log waf {
		output file %[1]s/waf.log
		format console
		include http.handlers.waf
	}
}

%[2]s {
	coraza_waf {
		load_owasp_crs
		directives <<SECLANG
			%[3]s
			SECLANG
	}
	reverse_proxy %[4]s
}
`

// startPlain runs Caddy without TLS in front of the backend that CRS's tests are written for.
func startPlain(t *testing.T, directives string) ftw.Server {
	t.Helper()
	c := prepare(t)
	port := freePort(t)
	c.url = "http://:" + port
	s := httptest.NewServer(ftw.Backend())
	t.Cleanup(s.Close)
	text := fmt.Sprintf(plainSite, c.dir, c.url, strings.ReplaceAll(directives, "\n", "\n\t\t\t"), s.Listener.Addr())
	require.NoError(t, os.WriteFile(c.config, []byte(text), 0o600))
	c.url = "http://localhost:" + port
	c.run(t)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	return ftw.Server{Host: "127.0.0.1", Port: number, Log: c.log}
}

// logged gives a severity to the rules of CRS and Coraza that have none: coraza-caddy 2.1.0 does not log them.
const logged = `
SecRuleUpdateActionById 200003 "severity:NOTICE"
SecRuleUpdateActionById 949110 "severity:NOTICE"
SecRuleUpdateActionById 949111 "severity:NOTICE"
SecRuleUpdateActionById 959100 "severity:NOTICE"
SecRuleUpdateActionById 959101 "severity:NOTICE"
SecRuleUpdateActionById 980170 "severity:NOTICE"
`

//go:embed .ftw.yml
var differences string

// CRS's regression suite against Caddy: the plugin changes no outcome, and what differs from other Go servers is what
// .ftw.yml lists.
func TestCRS(t *testing.T) {
	crs, err := ftw.CRS()
	require.NoError(t, err)
	const owasp = "Include @owasp_crs/*.conf\n"
	plain := ftw.Run(t, startPlain(t, ftw.Regression+owasp+logged), crs)
	judged := ftw.Run(t, startPlain(t, ftw.Regression+
		"Include @ml-verdict/*-config.conf\nInclude @ml-verdict/*-before.conf\n"+owasp+"Include @ml-verdict/*-after.conf"+logged), crs)
	assert.Equal(t, plain.Success, judged.Success)
	assert.Equal(t, plain.Failed, judged.Failed)
	assert.Equal(t, plain.Ignored, judged.Ignored)

	listed, err := config.NewConfigFromString(differences)
	require.NoError(t, err)
	unused := maps.Clone(listed.TestOverride.Ignore)
	for _, id := range slices.Concat(plain.Failed, plain.Ignored) {
		known := false
		for re := range listed.TestOverride.Ignore {
			if re.MatchString(id) {
				known = true
				delete(unused, re)
			}
		}
		assert.True(t, known, "%s fails, and .ftw.yml does not list it", id)
	}
	assert.Empty(t, unused, "differences that are none any more")
	assert.Equal(t, 4674, plain.Run)
	assert.Len(t, plain.Success, 4674-22)
}

// The plugin's own tests, against Caddy.
func TestOwn(t *testing.T) {
	own, err := ftw.Own()
	require.NoError(t, err)
	got := ftw.Run(t, startPlain(t, ftw.Marker+ftw.Settings+directives()+logged), own)
	assert.Empty(t, got.Failed)
	assert.Len(t, got.Success, got.Run)
}
