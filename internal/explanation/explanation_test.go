// SPDX-License-Identifier: Apache-2.0

package explanation

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/verdict"
	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/request"
)

const injection = "/?id=1%27+UNION+SELECT+password+FROM+users--"

// beacon is a false positive of CRS's: a consent string of the advertising industry.
const beacon = "/?gdpr=0&us_privacy=1---"

// guard is a real WAF and the model in it.
type guard struct {
	coraza.WAF
	model *model.Model
}

func guarded(t *testing.T, set ...func(*waf.Config)) guard {
	t.Helper()
	config := waf.Config{Paranoia: 1, Plugin: true}
	for _, s := range set {
		s(&config)
	}
	m := model.Default()
	if config.ModelPath != "" {
		file, err := os.ReadFile(config.ModelPath)
		require.NoError(t, err)
		m, err = model.Read(file)
		require.NoError(t, err)
	}
	w, err := waf.New(config)
	require.NoError(t, err)
	return guard{w, m}
}

// explain takes a request through the WAF and explains what became of it.
func (g guard) explain(t *testing.T, req *traffic.Request) *Explanation {
	t.Helper()
	tx := g.NewTransaction()
	defer tx.Close()
	_, err := req.Replay(tx)
	require.NoError(t, err)
	v := verdict.Of(tx)
	var view *request.View
	if v.Decision != verdict.Engine {
		view = new(request.View)
		view.Read(tx.(plugintypes.TransactionState), 12)
	}
	e, err := New(req, v, g.model, view)
	require.NoError(t, err)
	return e
}

func get(t *testing.T, target string, headers ...string) *traffic.Request {
	t.Helper()
	req, err := traffic.Build("", target, headers, nil)
	require.NoError(t, err)
	return req
}

func TestWhy(t *testing.T) {
	mode := func(name string) func(*waf.Config) { return func(c *waf.Config) { c.Mode = name } }
	scored := func(score int) func(*waf.Config) {
		return func(c *waf.Config) { c.ModelPath = waftest.Model(t, score) }
	}
	tests := []struct {
		name, target string
		set          []func(*waf.Config)
		want         string
	}{
		{"denied by both", injection, nil, `^CRS flags it \(score \d+ ≥ 5\), the model flags it \(score \d+ ≤ 50\): sqli evidence .* Of the features, \w+ \(\+\d+\.\d\d nats\) speaks most for an attack`},
		{"vetoed", beacon, nil, `^CRS flags it \(score 5 ≥ 5\), the model clears it \(score \d+ > 50\) and vetoes the denial: .+; rule 942100 matches .*% of normal requests\.`},
		{"not asked", "/?q=hello", nil, `^CRS does not flag it \(score 0 < 5\), the model clears it \(score \d+ > 50\), but the mode did not ask it: `},
		{"shadow", beacon, []func(*waf.Config){mode("shadow")}, `^CRS flags it .*, the model clears it .*, but in mode shadow CRS decides alone: `},
		{"ml_only", "/?q=hello", []func(*waf.Config){mode("ml_only"), scored(3)}, `^CRS does not flag it \(score 0 < 5\), the model flags it \(score 3 ≤ 50\): the schema thesis-26/1 weighs neither`},
		{"detect", injection, []func(*waf.Config){mode("detect"), scored(60), func(c *waf.Config) { c.DetectThreshold = 70 }},
			`^CRS flags it .*, the model flags it \(score 60 ≤ 70\): `},
		{"detect, CRS below its threshold", "/?q=hello", []func(*waf.Config){mode("detect"), scored(46)},
			`^CRS does not flag it \(score 0 < 5\), the model clears it \(score 46 > 40\): `},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Regexp(t, tt.want, guarded(t, tt.set...).explain(t, get(t, tt.target)).Why)
		})
	}
}

func TestRefusedBeforeCRS(t *testing.T) {
	req, err := traffic.ParseHTTP(strings.NewReader("POST / HTTP/1.1\nHost: localhost\nContent-Type: application/json\nContent-Length: 2\n\n{\""))
	require.NoError(t, err)
	e := guarded(t).explain(t, req)
	assert.Nil(t, e.Model)
	assert.Equal(t, "Rule 200002 refused the request before CRS and the model had looked at it.", e.Why)
	for _, page := range written(t, e) {
		assert.Contains(t, page, "Rule 200002 refused")
	}
}

// What is explained is the verdict that was served, and it adds up.
func TestExplainsTheServedVerdict(t *testing.T) {
	for level := 1; level <= request.ParanoiaLevels; level++ {
		g := guarded(t, func(c *waf.Config) { c.Paranoia = level })
		for _, target := range []string{injection, beacon, "/?q=%3Cscript%3Ealert(1)%3C/script%3E&file=../../etc/passwd"} {
			e := g.explain(t, get(t, target))
			j := e.Model
			assert.Equal(t, e.Verdict.ML.Score, j.Score)
			assert.Equal(t, e.Verdict.ML.Reason, j.Reason)
			assert.Equal(t, e.Verdict.ML.Model, j.ID)
			assert.Equal(t, level, j.Paranoia)
			sum := j.Base
			for _, f := range j.Features {
				sum += f.Adds
			}
			assert.InDelta(t, j.Margin, sum, 1e-9)
			require.Len(t, j.Rules, len(e.Verdict.Matches))
			for _, r := range j.Rules {
				assert.NotEmpty(t, r.Message, r.ID)
				assert.Equal(t, r.ID/10000 == 93 || r.ID/10000 == 94, r.Weighed, r.ID)
			}
			scores := j.Reference()
			assert.Len(t, scores, 5)
			for i := range scores[1:] {
				assert.LessOrEqual(t, scores[i].Score, scores[i+1].Score)
				assert.GreaterOrEqual(t, scores[i].Anomaly, scores[i+1].Anomaly)
			}
		}
	}
}

// On a site where such text is usual in a parameter, less of it counts, and the explanation says so.
func TestUsualOnTheSite(t *testing.T) {
	g := guarded(t)
	parts := g.model.Parts()
	counts := evidence.NewParamCounts()
	for range 200 {
		counts.Add(evidence.ParamOf(request.Query, "id"), evidence.Shown{Evidence: 60})
	}
	parts.Baseline = evidence.CompileBaseline(counts, evidence.NewParamCounts(), 200)
	var err error
	g.model, err = model.New(parts)
	require.NoError(t, err)
	e := g.explain(t, get(t, injection))
	first := e.Model.Values[0]
	assert.Less(t, first.Worth, first.Evidence)
	for format, page := range written(t, e) {
		if format != "json" {
			assert.Regexp(t, `flagged by CRS, counts \d\.\d, usual on this site`, page)
		}
	}
}

func TestStretchInContext(t *testing.T) {
	value := "the quick brown fox; 1' UNION SELECT password FROM users-- and so on"
	e := guarded(t).explain(t, get(t, "/?q="+url.QueryEscape(value)+"&%22x%22=2"))
	first := e.Model.Values[0]
	assert.Equal(t, "query 'q'", first.Label)
	assert.True(t, first.Flagged && first.Read)
	assert.Contains(t, first.Stretch, "union select password")
	assert.Equal(t, strings.ToLower(value), first.Before+first.Stretch+first.After)
	labels := map[string]Value{}
	for _, v := range e.Model.Values {
		labels[v.Label] = v
	}
	assert.Equal(t, "2", labels[`query '"x"'`].Before)
	assert.False(t, labels["header 'user-agent'"].Read)
	assert.True(t, labels["path"].Read)
}

// written is the explanation in all formats.
func written(t *testing.T, e *Explanation) map[string]string {
	t.Helper()
	var text, html, js bytes.Buffer
	require.NoError(t, e.Text(&text, Brackets))
	require.NoError(t, e.HTML(&html))
	require.NoError(t, e.JSON(&js))
	return map[string]string{"text": text.String(), "html": html.String(), "json": js.String()}
}

// Nothing that a request holds reaches a terminal or a page as more than text.
func TestHostileRequests(t *testing.T) {
	hostile := []string{
		"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "</code></p></li><style>*{}</style>", "{{.Verdict}}", "javascript:alert(1)",
		"\x1b[2J\x1b]0;title\x07", "\r\nverdict  pass\r\n", "\xff\xfe\x80", "\u202etxt.exe\u2028\u200b", "]]&gt;[[", strings.Repeat("é", 500) + "<script>",
	}
	g := guarded(t)
	for _, text := range hostile {
		q := url.QueryEscape(text)
		req := get(t, "/"+url.PathEscape(text)+"?"+q+"="+q+"&id="+q+"'+UNION+SELECT+"+q,
			"Cookie: "+q+"=<script>alert(2)</script>", "X-Note: <script>alert(3)</script>")
		for format, page := range written(t, g.explain(t, req)) {
			for _, r := range page {
				assert.True(t, r == '\n' || r == '\t' && format == "html" || unicode.IsPrint(r) && r != unicode.ReplacementChar, "%s: %q", format, r)
			}
			if format == "html" {
				assert.NotContains(t, page, "<script")
				assert.NotContains(t, page, "<img")
				assert.Equal(t, 1, strings.Count(page, "<style"))
				assert.Contains(t, page, "<mark>")
				external := regexp.MustCompile(`(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//[^"')]+`)
				assert.Empty(t, external.FindAllString(page, -1), "no external resource")
				assert.Contains(t, page, "<svg")
			}
			if format == "text" {
				assert.NotRegexp(t, `(?m)^verdict +pass$`, page, "no line is forged")
			}
			if format == "json" {
				var e Explanation
				assert.NoError(t, json.Unmarshal([]byte(page), &e))
				assert.NotEmpty(t, e.Model.Values)
			}
		}
	}
}

func TestText(t *testing.T) {
	g := guarded(t)
	e := g.explain(t, get(t, injection))
	text := written(t, e)["text"]
	assert.Regexp(t, `(?m)^  \d+\.\d  query 'id'  flagged by CRS  .*\[\[.*union select.*\]\]`, text)
	assert.Regexp(t, `(?m)^  942100 .* query 'id'$`, text)
	assert.Regexp(t, `(?m)^  normal traffic on average +-\d`, text)
	assert.Regexp(t, `(?m)^  \d+ +0\.\d{4} +\S+ % +this request: attack$`, text)
	assert.NotRegexp(t, `(?m) $`, text)
	assert.NotContains(t, text, "\x1b")
	assert.Equal(t, text, written(t, g.explain(t, get(t, injection)))["text"], "the same request, the same text")

	var b bytes.Buffer
	require.NoError(t, e.Text(&b, Terminal))
	assert.Contains(t, b.String(), "\x1b[1;7m")
	assert.Equal(t, text, strings.NewReplacer("\x1b[1;7m", "[[", "\x1b[0m", "]]").Replace(b.String()))
}

// A model of the thesis's statistics has neither text nor rules to show.
func TestStatistics(t *testing.T) {
	e := guarded(t, func(c *waf.Config) { c.ModelPath = waftest.Model(t, 3) }).explain(t, get(t, injection))
	pages := written(t, e)
	assert.NotContains(t, pages["text"], "\nText:")
	assert.NotContains(t, pages["html"], "<h2>Text</h2>")
	assert.Contains(t, pages["text"], "in cuts")
	assert.Len(t, e.Model.Features, 26)
}

func TestQuotesAreCutBetweenCharacters(t *testing.T) {
	text := strings.Repeat("é€𝄞", 30)
	for limit := range len(text) {
		head, tail := cutEnd(text, limit), cutStart(text, limit)
		assert.NotContains(t, head+tail, `\x`)
		assert.True(t, strings.HasPrefix(text, strings.TrimSuffix(head, "…")) && strings.HasSuffix(text, strings.TrimPrefix(tail, "…")))
		assert.LessOrEqual(t, len(head), limit+len("…"))
	}
	assert.Equal(t, text, cutEnd(text, len(text)))
	assert.Equal(t, `\x80\x80…`, cutEnd(strings.Repeat("\x80", 9), 6), "what is no UTF-8 does not matter")
	assert.Equal(t, `a"\\\n\x1b\u202e`, escape("a\"\\\n\x1b\u202e"))
}
