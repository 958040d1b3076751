// SPDX-License-Identifier: Apache-2.0

package operators_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/collection"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
)

const script = "<script>alert(document.cookie)</script>"

// repeats send an attack as the second of two values of one name, among others, in every place where a client can.
var repeats = []struct {
	name string
	rule int // that knows the attack
	send func(types.Transaction)
}{
	{"query", 941110, func(tx types.Transaction) { arguments(tx.AddGetRequestArgument) }},
	{"form", 941110, func(tx types.Transaction) {
		form(tx, strings.Join(others, "=1&")+"=1&q=hello&q="+script)
	}},
	{"form, no name", 941110, func(tx types.Transaction) {
		form(tx, strings.Join(others, "=1&")+"=1&=hello&="+script)
	}},
	{"path", 941110, func(tx types.Transaction) { arguments(tx.AddPathRequestArgument) }},
	{"cookies", 941110, func(tx types.Transaction) {
		tx.AddRequestHeader("Cookie", strings.Join(others, "=1; ")+"=1; q=hello; q="+script)
	}},
	{"headers", 941110, func(tx types.Transaction) {
		for _, name := range others {
			tx.AddRequestHeader("X-"+name, "1")
		}
		tx.AddRequestHeader("Referer", "hello")
		tx.AddRequestHeader("Referer", script)
	}},
	{"headers of parts", 922120, func(tx types.Transaction) {
		var parts strings.Builder
		for _, name := range others {
			fmt.Fprintf(&parts, "--X\r\nContent-Disposition: form-data; name=%q\r\n\r\n1\r\n", name)
		}
		parts.WriteString("--X\r\nContent-Disposition: form-data; name=q\r\nContent-Transfer-Encoding: base64\r\n\r\nMQ==\r\n")
		body(tx, "multipart/form-data; boundary=X", parts.String()+"--X--\r\n")
	}},
}

var others = []string{"a", "b", "c", "d", "e", "f", "g", "h"}

func arguments(add func(name, value string)) {
	for _, name := range others {
		add(name, "1")
	}
	add("q", "hello")
	add("q", script)
}

func body(tx types.Transaction, contentType, text string) {
	tx.AddRequestHeader("Content-Type", contentType)
	if _, _, err := tx.WriteRequestBody([]byte(text)); err != nil {
		panic(err) // a body of a thousand bytes
	}
}

func form(tx types.Transaction, text string) { body(tx, "application/x-www-form-urlencoded", text) }

// The same request trips over the same rules each time, with the plugin and with CRS alone.
func TestRepeatedNames(t *testing.T) {
	for _, plugin := range []bool{true, false} {
		w := waftest.New(t, func(c *waf.Config) { c.Paranoia, c.Plugin = 4, plugin })
		for _, r := range repeats {
			t.Run(fmt.Sprintf("%s/plugin=%t", r.name, plugin), func(t *testing.T) {
				first := matches(t, w, r.send)
				require.Contains(t, strings.Join(first, ""), fmt.Sprintf("%d ", r.rule))
				for range 30 {
					require.Equal(t, first, matches(t, w, r.send))
				}
			})
		}
	}
}

// matches sends a request and returns which rules matched which values.
func matches(t *testing.T, w coraza.WAF, send func(types.Transaction)) (list []string) {
	t.Helper()
	tx := w.NewTransaction()
	defer tx.Close()
	sent(t, tx, send)
	for _, rule := range tx.MatchedRules() {
		for _, m := range rule.MatchedDatas() {
			list = append(list, fmt.Sprintln(rule.Rule().ID(), m.Variable().Name(), m.Key(), m.Value()))
		}
	}
	slices.Sort(list)
	return list
}

func sent(t *testing.T, tx types.Transaction, send func(types.Transaction)) {
	t.Helper()
	tx.ProcessURI("/search", "POST", "HTTP/1.1")
	tx.AddRequestHeader("Host", "shop.example")
	send(tx)
	tx.ProcessRequestHeaders()
	_, err := tx.ProcessRequestBody()
	require.NoError(t, err)
}

// Names, values and their order stay as they came.
func TestSeparatedValuesReadAsBefore(t *testing.T) {
	bare, err := coraza.NewWAF(coraza.NewWAFConfig().WithDirectives("SecRuleEngine On\nSecRequestBodyAccess On"))
	require.NoError(t, err)
	separated, err := coraza.NewWAF(coraza.NewWAFConfig().WithDirectives(`
		SecRuleEngine On
		SecRequestBodyAccess On
		SecRule REQUEST_METHOD "@separateValues" "id:1,phase:1,pass"
		SecRule REQBODY_ERROR "@separateValues" "id:2,phase:2,pass"`))
	require.NoError(t, err)
	mixed := func(tx types.Transaction) {
		for _, r := range repeats {
			r.send(tx)
		}
		tx.AddRequestHeader("X-Mixed", "1")
		tx.AddRequestHeader("x-mixed", "2")
		tx.AddRequestHeader("X-Mixed", "3")
		tx.AddGetRequestArgument("Q", "upper")
		tx.AddGetRequestArgument("", "no name")
		tx.AddGetRequestArgument("", "no name, either")
	}
	assert.Equal(t, values(t, bare, mixed), values(t, separated, mixed))
}

// values returns what the collections hold: name, then its values in their order.
func values(t *testing.T, w coraza.WAF, send func(types.Transaction)) map[string][]string {
	t.Helper()
	tx := w.NewTransaction()
	defer tx.Close()
	sent(t, tx, send)
	v := tx.(plugintypes.TransactionState).Variables()
	held := map[string][]string{}
	for _, c := range []collection.Map{v.ArgsGet(), v.ArgsPost(), v.ArgsPath(), v.RequestCookies(), v.RequestHeaders()} {
		for _, m := range c.FindAll() {
			bucket := c.Name() + " " + strings.ToLower(m.Key())
			held[bucket] = append(held[bucket], m.Key()+"="+m.Value())
		}
	}
	return held
}

func TestSeparateValuesTakesNoArgument(t *testing.T) {
	_, err := coraza.NewWAF(coraza.NewWAFConfig().WithDirectives(`SecRule REQUEST_METHOD "@separateValues q" "id:1,phase:1,pass"`))
	require.ErrorContains(t, err, `@separateValues takes no argument (got "q")`)
}
