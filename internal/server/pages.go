// SPDX-License-Identifier: Apache-2.0

package server

import (
	_ "embed"
	"fmt"
	html "html/template"
	"io"
	"net/http"
	"strings"
	text "text/template"

	"github.com/mlverdict/mlverdict/internal/verdict"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.txt
	pageText string

	asHTML = html.Must(html.New("page").Parse(pageHTML))
	asText = text.Must(text.New("page").Parse(pageText))
)

// page is what the templates show: an answer to one request, in HTML for browsers and in text for the rest.
type page struct {
	Title       string
	Message     string
	Transaction string           // to tell an operator; empty where there was no denial
	Verdict     *verdict.Verdict // only in the demo: a real client is not told how close it came
	Examples    []example        // only in the demo
	Host        string           // as the client wrote it, for the examples
	Input       string           // what the client sent as q, to change and send again
}

// example is a request to try in the demo.
type example struct {
	Title, About string
	Target       html.URL // a constant of ours: html/template need not escape it
}

var examples = []example{
	{"Normal request", "CRS has nothing to say, and the model is not asked.", "/?q=hello"},
	{"SQL injection", "CRS and the model agree: denied.", "/?id=1%27%20UNION%20SELECT%20password%20FROM%20users--"},
	{"False positive", "The privacy setting that advertisers send along. CRS takes the dashes for SQL; the model knows better.", "/?gdpr=0&us_privacy=1---"},
}

// Explanation says in a sentence what the two verdicts did.
func (p *page) Explanation() string {
	v := p.Verdict
	crs := fmt.Sprintf("CRS gives %d points and denies from %d", v.CRS.Score, v.CRS.Threshold)
	ml := fmt.Sprintf("the model gives %d and flags %d or less", v.ML.Score, v.ML.Threshold)
	switch v.Decision {
	case verdict.Veto:
		return fmt.Sprintf("%s, but %s: a veto. CRS alone would have denied.", crs, ml)
	case verdict.Deny:
		return fmt.Sprintf("%s, and %s: both agree.", crs, ml)
	case verdict.CRSAlone:
		return crs + ", and it decides alone here."
	case verdict.MLAlone:
		return fmt.Sprintf("%s, but %s, and need not ask CRS here.", crs, ml)
	case verdict.Outbound:
		return "CRS denies what the answer holds."
	case verdict.Engine:
		if v.Rule == 0 {
			return "Coraza itself refuses the request, before the two verdicts."
		}
		return fmt.Sprintf("Rule %d denies, before the two verdicts.", v.Rule)
	}
	return crs + ": it passes."
}

// serveDemo is the built-in page. It answers every path, so that anything can be tried on it.
func serveDemo(w http.ResponseWriter, r *http.Request) {
	p := demo(r)
	p.Title, p.Message = "The request passed", "It got through both verdicts and was answered."
	v := verdict.Of(exchangeOf(r.Context()).tx)
	p.Verdict = &v
	p.serve(w, r, http.StatusOK)
}

func demo(r *http.Request) *page {
	return &page{Examples: examples, Host: r.Host, Input: r.URL.Query().Get("q")}
}

// serveDenied answers a request that Coraza denied.
func (h *handler) serveDenied(w http.ResponseWriter, r *http.Request, x *exchange) {
	p := &page{}
	if h.Upstream == nil {
		p = demo(r)
		p.Verdict = &x.verdict
	}
	p.Title, p.Message = "The request was denied", "The firewall in front of this site took it for an attack."
	if x.verdict.Decision == verdict.Engine {
		p.Message = "The firewall in front of this site could not accept it."
	}
	p.Transaction = x.verdict.Transaction
	p.serve(w, r, x.status)
}

func serveBadGateway(w http.ResponseWriter, r *http.Request) {
	p := &page{Title: "The site does not answer", Message: "The request passed the firewall, but the server behind it did not answer. Please try again later."}
	p.serve(w, r, http.StatusBadGateway)
}

func (p *page) serve(w http.ResponseWriter, r *http.Request, status int) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	// Without it the next click sends a denied query as Referer, and is denied for it.
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	var template interface{ Execute(io.Writer, any) error } = asText
	kind := "text/plain"
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		template, kind = asHTML, "text/html"
	}
	h.Set("Content-Type", kind+"; charset=utf-8")
	w.WriteHeader(status)
	_ = template.Execute(w, p) // only fails when the client has gone
}
