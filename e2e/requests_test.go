// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// directives of a WAF that blocks, with what is set between CRS's set-up and the plugin's.
func directives(set ...string) string {
	return `Include @coraza.conf-recommended
Include @ml-verdict/argument-limit.conf
SecRuleEngine On
Include @crs-setup.conf.example
` + strings.Join(set, "\n") + `
Include @ml-verdict/*-config.conf
Include @ml-verdict/*-before.conf
Include @owasp_crs/*.conf
Include @ml-verdict/*-after.conf`
}

// useModel names a model file.
func useModel(path string) string { return "SecDataset ml-verdict-model `\n" + path + "\n`" }

// variable sets a TX variable for all requests. The name decides on the rule's id.
func variable(name, value string) string {
	id := map[string]string{
		"ml-verdict-plugin_mode": "9529011", "ml-verdict-plugin_enabled": "9529012", "early_blocking": "9529013",
		"ml-verdict-plugin_detect_threshold": "9529014",
	}[name]
	return `SecAction "id:` + id + `,phase:1,pass,nolog,setvar:'tx.` + name + `=` + value + `'"`
}

const (
	helloQuery     = "?q=hello"
	injectionQuery = "?id=1%27+UNION+SELECT+password+FROM+users--"
	injectionText  = "1' UNION SELECT password FROM users--"
)

// newRequest is a browser's.
func newRequest(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, url, body)
	require.NoError(t, err)
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
	r.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	r.Header.Set("Accept-Language", "en-US,en;q=0.5")
	return r
}

// answer is what came back.
type answer struct {
	status   int
	protocol string
	body     string
}

// send may run in goroutines.
func send(client *http.Client, r *http.Request) (answer, error) {
	resp, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Proto, string(body)}, err
}

// ask is send for a test's own goroutine.
func ask(t *testing.T, client *http.Client, r *http.Request) answer {
	t.Helper()
	a, err := send(client, r)
	require.NoError(t, err)
	return a
}
