// SPDX-License-Identifier: Apache-2.0

package mutate_test

import (
	"math/rand/v2"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/mlverdict/mlverdict/internal/mutate"
)

var documents = []string{
	`<script>alert(1)</script>`, `<img src=x onerror="alert(1)">`, `<svg onload=alert(1)>`, `"><img src='x' onerror='confirm(document.cookie)'>`,
	`<a href="javascript:alert(1)">x</a>`, `<iframe src=javascript:alert(2)></iframe>`, `<input autofocus onfocus=prompt(1) value="a b">`,
	`<body onload="alert('x')">`, `<details open ontoggle=alert(1)><summary>s</summary></details>`, `<img/src="x"/onerror=alert(1)>`,
	`<style>@keyframes x{}</style><b style="animation-name:x" onanimationstart="alert(1)"></b>`, `'><svg/onload=confirm(1)>tail`,
	`<video><source onerror="alert(1)"></video>`, `<a href="&#106;avascript:alert(1)">y</a>`,
}

// parsed is what a browser makes of a document, node by node.
func parsed(t *testing.T, document string, node func(*html.Node) string) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader("<!DOCTYPE html><p>before " + document))
	require.NoError(t, err)
	var lines []string
	for n := range root.Descendants() {
		if line := node(n); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func whole(n *html.Node) string {
	line := n.Data
	for _, a := range n.Attr {
		line += " " + a.Key + "=" + a.Val
	}
	return line
}

func TestHTMLKeepsTheDocument(t *testing.T) {
	holds(t, named("xss", "html-case", "html-blank", "html-quote", "html-entity"), documents, 30, 12, func(original, mutated string) bool {
		return parsed(t, original, whole) == parsed(t, mutated, whole)
	})
}

// active is the part of a node that can run: scripts, handlers and URLs as browsers read them.
func active(n *html.Node) string {
	if n.Type == html.TextNode && n.Parent.Data != "script" {
		return ""
	}
	line := n.Data
	var attributes []string
	for _, a := range n.Attr {
		switch {
		case strings.HasPrefix(a.Key, "data-"):
		case a.Key == "href" || a.Key == "src":
			bare := strings.TrimLeft(strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(a.Val), "\x01 ")
			scheme, rest, _ := strings.Cut(bare, ":")
			attributes = append(attributes, a.Key+"="+strings.ToLower(scheme)+":"+rest)
		default:
			attributes = append(attributes, a.Key+"="+a.Val)
		}
	}
	sort.Strings(attributes)
	return line + " " + strings.Join(attributes, " ")
}

func TestHTMLKeepsWhatRuns(t *testing.T) {
	holds(t, named("xss", "html-case", "html-attribute", "html-words", "html-javascript-url"), documents, 30, 12, func(original, mutated string) bool {
		return parsed(t, original, active) == parsed(t, mutated, active)
	})
}

var runs = regexp.MustCompile(`^(onload|onerror|ontoggle|onfocus)$`)

// Whatever element it is put into, one script runs, the same.
func TestHTMLElementsRunTheScript(t *testing.T) {
	scripts := func(document string) string {
		return strings.TrimSpace(parsed(t, document, func(n *html.Node) string {
			if n.Type == html.TextNode && n.Parent.Data == "script" {
				return n.Data
			}
			for _, a := range n.Attr {
				if runs.MatchString(a.Key) {
					return a.Val
				}
			}
			return ""
		}))
	}
	holds(t, named("xss", "html-element"), []string{"<script>alert(1)</script>", `<svg onload="prompt('a')">`, "<img src=x onerror=alert(1)>"}, 30, 8,
		func(original, mutated string) bool {
			return strings.Join(strings.Fields(scripts(original)), "|") == strings.Join(strings.Fields(scripts(mutated)), "|")
		})
}

// A payload that may stand between an application's quotes gets none that it does not hold.
func TestHTMLNoForeignQuotes(t *testing.T) {
	const payload = `javascript:alert(1)//" onmouseover=alert(1) x="`
	for _, m := range mutate.For("xss") {
		for seed := range uint64(20) {
			mutated, _ := m.Apply(payload, rand.New(rand.NewPCG(seed, 0)))
			require.NotContains(t, mutated, "'", m.Name)
		}
	}
}
