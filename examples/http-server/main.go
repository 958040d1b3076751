// SPDX-License-Identifier: Apache-2.0

// Command http-server is a web site behind Coraza, CRS and the second verdict.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"

	"github.com/corazawaf/coraza/v3"
	corazahttp "github.com/corazawaf/coraza/v3/http"

	"github.com/mlverdict/mlverdict/plugin/crs"
)

func main() {
	listen := flag.String("listen", "localhost:8080", "`address` to listen on")
	flag.Parse()

	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "welcome") })

	waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(crs.FS()).WithDirectives(crs.Directives()))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(*listen, corazahttp.WrapHandler(waf, http.DefaultServeMux)))
}
