// SPDX-License-Identifier: Apache-2.0

// Package augment makes traffic out of traffic and out of nothing: attack payloads put into real requests, noise of rising
// difficulty, text of Markov chains, normal text changed so that it looks worse than it is. [Kinds] lists all of it.
//
// Every generator takes its random source from the caller: the same source and the same inputs give the same texts.
package augment

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"iter"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mlverdict/mlverdict/internal/traffic"
)

// Place is where in a request a payload is put.
type Place int

// The places. Training puts payloads at the first ones only.
const (
	Query Place = iota
	Form
	JSON
	Cookie
	Header
	trained = iota
)

// Further places.
const (
	XML Place = trained + iota
	Multipart
	Path
	Places = trained + iota
)

// names of arguments, as applications use them: a payload's own list names every one the same, which a model must not
// learn.
var names = []string{"q", "id", "search", "name", "page", "file", "url", "user", "email", "msg", "comment", "token",
	"lang", "sort", "filter", "data", "path", "ref", "title", "text"}

// Embed puts an attack payload into a copy of a real request, at the given place, under a name drawn from rng, and
// labels it with the payload's set, origin and class. The envelope's headers and cookies stay; where the place is the
// body, its body gives way.
func Embed(payload *traffic.Request, envelope *traffic.Request, place Place, rng *rand.Rand) *traffic.Request {
	r := put(payload.Payload, envelope, place, rng)
	r.Set, r.Origin, r.Label, r.Class, r.Src = payload.Set, payload.Origin, traffic.Attack, payload.Class, payload.Src
	return r
}

// put puts a text into a copy of a request.
func put(text string, envelope *traffic.Request, place Place, rng *rand.Rand) *traffic.Request {
	r := *envelope
	r.Headers = slices.Clone(envelope.Headers)
	name := names[rng.IntN(len(names))]
	switch place {
	case Query:
		separator := "?"
		if strings.Contains(r.URI, "?") {
			separator = "&"
		}
		r.URI += separator + name + "=" + url.QueryEscape(text)
	case Form:
		setBody(&r, "application/x-www-form-urlencoded", []byte(name+"="+url.QueryEscape(text)))
	case JSON:
		body, _ := json.Marshal(map[string]string{name: text}) // a map of strings always marshals
		setBody(&r, "application/json", body)
	case Cookie:
		// A blank as %20: CRS would read a plus in a cookie as a blank, applications and the second verdict do not.
		setHeader(&r, "Cookie", name+"="+strings.ReplaceAll(url.QueryEscape(text), "+", "%20"))
	case Header:
		setHeader(&r, "X-"+name, strings.NewReplacer("\r", "", "\n", " ").Replace(text))
	case XML:
		var escaped bytes.Buffer
		xml.EscapeText(&escaped, []byte(text)) // a buffer takes everything
		setBody(&r, "application/xml", []byte("<request><"+name+">"+escaped.String()+"</"+name+"></request>"))
	case Multipart:
		setBody(&r, "multipart/form-data; boundary="+delimiter, []byte("--"+delimiter+
			"\r\nContent-Disposition: form-data; name=\""+name+"\"\r\n\r\n"+text+"\r\n--"+delimiter+"--\r\n"))
	case Path:
		path, query, asked := strings.Cut(r.URI, "?")
		r.URI = strings.TrimSuffix(path, "/") + "/" + url.PathEscape(text)
		if asked {
			r.URI += "?" + query
		}
	}
	return &r
}

// delimiter is what browsers put between the parts of a form, with a number that no text holds by chance.
const delimiter = "----WebKitFormBoundary8xQ2mLr0VdTzYc4K"

// Embedded yields n of the payloads, fewer if there are not so many, each in an envelope and at a place drawn from rng:
// the request that carries it and the payload.
func Embedded(payloads, envelopes []*traffic.Request, n int, rng *rand.Rand) iter.Seq2[*traffic.Request, *traffic.Request] {
	return func(yield func(request, payload *traffic.Request) bool) {
		if len(envelopes) == 0 {
			return
		}
		for _, i := range rng.Perm(len(payloads))[:min(n, len(payloads))] {
			envelope := envelopes[rng.IntN(len(envelopes))]
			if !yield(Embed(payloads[i], envelope, Place(rng.IntN(trained)), rng), payloads[i]) {
				return
			}
		}
	}
}

// setBody makes the request a POST of a body, with headers that fit it: one that did not would mark every attack that
// was put into a body (CRS's rules 920160 to 920180).
func setBody(r *traffic.Request, contentType string, body []byte) {
	r.Method, r.Body = "POST", body
	r.Headers = slices.DeleteFunc(r.Headers, func(h [2]string) bool {
		return strings.EqualFold(h[0], "content-length") || strings.EqualFold(h[0], "content-encoding") ||
			strings.EqualFold(h[0], "transfer-encoding")
	})
	setHeader(r, "Content-Type", contentType)
	setHeader(r, "Content-Length", strconv.Itoa(len(body)))
}

// setHeader replaces a header or adds it; a cookie joins those that are there.
func setHeader(r *traffic.Request, name, value string) {
	for i, h := range r.Headers {
		if strings.EqualFold(h[0], name) {
			if strings.EqualFold(name, "cookie") {
				value = h[1] + "; " + value
			}
			r.Headers[i][1] = value
			return
		}
	}
	r.Headers = append(r.Headers, [2]string{name, value})
}
