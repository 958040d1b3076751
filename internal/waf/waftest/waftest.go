// SPDX-License-Identifier: Apache-2.0

// Package waftest drives real WAFs in tests.
package waftest

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/features"
	"github.com/mlverdict/mlverdict/model/forest"
	"github.com/mlverdict/mlverdict/rules"
)

// New builds a WAF with the plugin at paranoia level 1, changed by what set does.
func New(t testing.TB, set ...func(*waf.Config)) coraza.WAF {
	t.Helper()
	config := waf.Config{Paranoia: 1, Plugin: true}
	for _, s := range set {
		s(&config)
	}
	w, err := waf.New(config)
	require.NoError(t, err)
	return w
}

// With returns a change that adds directives.
func With(directives ...string) func(*waf.Config) {
	return func(c *waf.Config) { c.ExtraDirectives += strings.Join(directives, "\n") + "\n" }
}

// Model writes a model file that gives every request the same score and returns its path.
func Model(t testing.TB, score int) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, uint64(score)))
	rows := make([][]float32, 16)
	for i := range rows {
		rows[i] = make([]float32, len(features.Thesis.Features))
		for j := range rows[i] {
			rows[i][j] = rng.Float32()
		}
	}
	trees, err := forest.Train(rows, forest.Params{Trees: 1, Subsample: len(rows)}, rng)
	require.NoError(t, err)
	parts := model.Parts{Schema: features.Thesis, Forest: trees}
	for level := range parts.Calibration {
		for s := range score - 1 { // no anomaly reaches 2, every one reaches 0
			parts.Calibration[level][s] = 2
		}
	}
	m, err := model.New(parts)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "test.model")
	require.NoError(t, os.WriteFile(path, m.Bytes(), 0o600))
	return path
}

// Answer is what a WAF made of a request.
type Answer struct {
	Status int               // 200, or the interruption's
	Rule   int               // the interruption's rule
	Log    map[int]string    // what the rules that matched and log say: message and data by rule id
	TX     map[string]string // transaction variables
}

// Says returns the ids of the plugin's rules that logged, in rising order.
func (a Answer) Says() (ids []int) {
	for id := range a.Log {
		if rules.Owns(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Send takes a request through the phases of a transaction, as Coraza's own middleware does, and answers 200 with an
// empty body where the WAF lets it pass. It does not use t, so it may run in goroutines.
func Send(w coraza.WAF, r *http.Request) (Answer, error) {
	tx := w.NewTransaction()
	defer tx.Close()
	tx.ProcessConnection("127.0.0.1", 40000, "127.0.0.1", 80)
	tx.ProcessURI(r.URL.String(), r.Method, r.Proto)
	for name, values := range r.Header {
		for _, value := range values {
			tx.AddRequestHeader(name, value)
		}
	}
	tx.AddRequestHeader("Host", r.Host)
	tx.SetServerName(r.Host)
	it := tx.ProcessRequestHeaders()
	if it == nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return Answer{}, err
		}
		if it, _, err = tx.WriteRequestBody(body); err != nil {
			return Answer{}, err
		}
		if it == nil {
			if it, err = tx.ProcessRequestBody(); err != nil {
				return Answer{}, err
			}
		}
	}
	if it == nil {
		it = tx.ProcessResponseHeaders(http.StatusOK, "HTTP/1.1")
	}
	return AnswerOf(tx, it), nil
}

// AnswerOf ends a transaction with phase 5 and tells what was made of it, given what interrupted it. Closing it is left
// to the caller.
func AnswerOf(tx types.Transaction, it *types.Interruption) Answer {
	tx.ProcessLogging()
	a := Answer{Status: http.StatusOK, Log: map[int]string{}, TX: map[string]string{}}
	if it != nil {
		a.Status, a.Rule = it.Status, it.RuleID
	}
	for _, mr := range tx.MatchedRules() {
		if mr.(interface{ Log() bool }).Log() { // what decides whether the error log gets it
			a.Log[mr.Rule().ID()] = mr.Message() + " " + mr.Data()
		}
	}
	for _, data := range tx.(plugintypes.TransactionState).Variables().TX().FindAll() {
		a.TX[data.Key()] = data.Value()
	}
	return a
}

// Ask is Send for a test's own goroutine.
func Ask(t testing.TB, w coraza.WAF, r *http.Request) Answer {
	t.Helper()
	a, err := Send(w, r)
	require.NoError(t, err)
	return a
}

// Get is a browser's request for a target.
func Get(target string) *http.Request { return newRequest(http.MethodGet, target, "") }

// Post is a browser's request that submits a form.
func Post(target, form string) *http.Request {
	r := newRequest(http.MethodPost, target, form)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Content-Length", strconv.Itoa(len(form)))
	return r
}

// The requests that the tests ask about.
var (
	// Hello is harmless, and CRS agrees.
	Hello = func() *http.Request { return Get("/?q=hello") }

	// Injection is an attack.
	Injection = func() *http.Request { return Get("/?id=1%27+UNION+SELECT+password+FROM+users--") }

	// Beacon is harmless, but CRS denies it at paranoia level 1: a statistics script keeps its counters as JSON in a
	// cookie, and rule 942550 takes the quoted list for SQL's JSON syntax.
	Beacon = func() *http.Request {
		r := Get("/news/summer-sale?page=2")
		r.Header.Set("Cookie", `lang=en; _stat_4711={"visits":"[1735689600]","campaigns":{"102":1735689600,"117":1735776000}}`)
		return r
	}
)

func newRequest(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "shop.example"
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
	r.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	r.Header.Set("Accept-Language", "en-US,en;q=0.5")
	return r
}
