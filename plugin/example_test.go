// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
	corazahttp "github.com/corazawaf/coraza/v3/http"
	"github.com/jcchavezs/mergefs"
	"github.com/jcchavezs/mergefs/io"

	"github.com/mlverdict/mlverdict/plugin"
)

// Without package crs: the program chooses where CRS comes from and writes the directives itself.
func Example() {
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().
		WithRootFS(mergefs.Merge(coreruleset.FS, plugin.FS(), io.OSFS)).
		WithDirectives("Include @coraza.conf-recommended\nSecRuleEngine On\nInclude @crs-setup.conf.example").
		WithDirectives(plugin.BeforeCRS(plugin.WithMode(plugin.Detect), plugin.WithThreshold(45))).
		WithDirectives("Include @owasp_crs/*.conf").
		WithDirectives(plugin.AfterCRS()))
	if err != nil {
		log.Fatal(err)
	}
	site := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "welcome") })
	server := httptest.NewServer(corazahttp.WrapHandler(waf, site))
	defer server.Close()

	for _, query := range []url.Values{
		{"q": {"hello"}},
		{"id": {"1' UNION SELECT password FROM users--"}},
	} {
		response, err := http.Get(server.URL + "/?" + query.Encode())
		if err != nil {
			log.Fatal(err)
		}
		response.Body.Close()
		fmt.Println(response.StatusCode)
	}
	// Output:
	// 200
	// 403
}
