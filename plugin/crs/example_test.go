// SPDX-License-Identifier: Apache-2.0

package crs_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/corazawaf/coraza/v3"
	corazahttp "github.com/corazawaf/coraza/v3/http"
	"github.com/corazawaf/coraza/v3/types"

	"github.com/mlverdict/mlverdict/plugin/crs"
)

// CRS takes the JSON that a statistics script keeps in a cookie for a SQL injection. The model does not.
func Example() {
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().
		WithRootFS(crs.FS()).
		WithDirectives(crs.Directives()).
		WithErrorCallback(func(rule types.MatchedRule) {
			if rule.Rule().ID() == 9529242 { // a veto
				message, _, _ := strings.Cut(rule.Message(), " (") // the scores follow
				fmt.Println(message)
			}
		}))
	if err != nil {
		log.Fatal(err)
	}
	site := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "welcome") })
	guarded := corazahttp.WrapHandler(waf, site)

	request := httptest.NewRequest(http.MethodGet, "/news?page=2", nil)
	request.Header.Set("Cookie", `_stat_4711={"visits":"[1735689600]","campaigns":{"102":1735689600}}`)
	answer := httptest.NewRecorder()
	guarded.ServeHTTP(answer, request)
	fmt.Println(answer.Code, answer.Body)

	// Output:
	// ML veto: CRS alone would have denied
	// 200 welcome
}
