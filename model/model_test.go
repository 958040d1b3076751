// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/features"
	"github.com/mlverdict/mlverdict/model/forest"
	"github.com/mlverdict/mlverdict/model/request"
)

// small makes a small model of random parts.
func small(t testing.TB, schema *features.Schema) *model.Model {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 7))
	rows := make([][]float32, 300)
	for i := range rows {
		rows[i] = make([]float32, len(schema.Features))
		for j := range rows[i] {
			rows[i][j] = rng.Float32() * 10
		}
	}
	f, err := forest.Train(rows, forest.Params{Trees: 10, Subsample: 64}, rng)
	require.NoError(t, err)
	p := model.Parts{Schema: schema, Seed: 7, Forest: f}
	if schema == features.Verdict {
		normal, attack := evidence.NewCounts(), evidence.NewCounts()
		normal.Add("a shop and its customers, 12 of them", nil, 1)
		attack.Add("<script>alert(1)</script>", nil, 1)
		p.Chains, err = evidence.CompileChains([]*evidence.Counts{normal}, []*evidence.Counts{attack}, 1000, nil, nil)
		require.NoError(t, err)
		counts := evidence.NewRuleCounts()
		counts.Add(&request.View{Matches: []request.Match{{Rule: 942100}}}, nil, "site")
		p.Rules = evidence.CompileRules(counts, nil)
	}
	for i := range p.Calibration {
		p.Calibration[i], err = model.Calibrate([][]float64{{0.3, 0.4, 0.5, 0.6}})
		require.NoError(t, err)
	}
	m, err := model.New(p)
	require.NoError(t, err)
	return m
}

// ofSite is the model with a baseline in which what view shows is usual.
func ofSite(t testing.TB, m *model.Model) *model.Model {
	t.Helper()
	counts := evidence.NewParamCounts()
	for range 1000 {
		counts.Add(evidence.ParamOf(request.Query, view().Values[0].Name), evidence.Shown{Evidence: 100, Rules: []int{941100}})
	}
	p := m.Parts()
	p.Baseline = evidence.CompileBaseline(counts, evidence.NewParamCounts(), 1000)
	site, err := model.New(p)
	require.NoError(t, err)
	return site
}

// A model of a site has a format of its own; what is usual there changes the verdict, and a file without a baseline is
// what it was.
func TestModelOfASite(t *testing.T) {
	plain := small(t, features.Verdict)
	site := ofSite(t, plain)
	format := len("MLVERDICT\n")
	assert.Equal(t, []byte{1, 2}, []byte{plain.Bytes()[format], site.Bytes()[format]})
	again, err := model.Read(site.Bytes())
	require.NoError(t, err)
	assert.Equal(t, site.Bytes(), again.Bytes())
	var a, b, c model.Verdict
	require.NoError(t, plain.Judge(view(), &a))
	require.NoError(t, site.Judge(view(), &b))
	require.NoError(t, again.Judge(view(), &c))
	assert.NotEqual(t, a.Anomaly, b.Anomaly)
	assert.Equal(t, b, c)
}

func view() *request.View {
	return &request.View{
		Method: "GET", Paranoia: 2, Limit: 5, Earned: [4]int{5},
		Values:  []request.Value{{Place: request.Query, Name: "q]\n", Text: "<script>alert('1')</script>\n%{tx.x}"}},
		Matches: []request.Match{{Rule: 941100, Paranoia: 1, Score: 5, Spans: []request.Span{{Lo: 0, Hi: 1}}}},
	}
}

func TestRoundTrip(t *testing.T) {
	for _, schema := range features.Schemas() {
		t.Run(schema.Name, func(t *testing.T) {
			m := small(t, schema)
			again, err := model.Read(m.Bytes())
			require.NoError(t, err)
			assert.Equal(t, m.ID(), again.ID())
			assert.Equal(t, m.Bytes(), again.Bytes())
			var a, b model.Verdict
			require.NoError(t, m.Judge(view(), &a))
			require.NoError(t, again.Judge(view(), &b))
			assert.Equal(t, a, b)
			assert.GreaterOrEqual(t, a.Score, model.MinScore)
			assert.LessOrEqual(t, a.Score, model.MaxScore)
		})
	}
}

func TestAnyFlippedByteIsRefused(t *testing.T) {
	file := small(t, features.Verdict).Bytes()
	rng := rand.New(rand.NewPCG(1, 1))
	headerEnd := 16 + int(binary.LittleEndian.Uint32(file[12:]))
	positions := rng.Perm(len(file))[:500]
	for i := range headerEnd {
		positions = append(positions, i)
	}
	for _, i := range positions {
		damaged := bytes.Clone(file)
		damaged[i] ^= byte(1 + rng.IntN(255))
		_, err := model.Read(damaged)
		require.ErrorIs(t, err, model.ErrFormat, "byte %d", i)
	}
}

// sealed replaces a file's checksum, as someone who forges a file would.
func sealed(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(bytes.Clone(body), sum[:]...)
}

func TestHostileFilesAreRefusedCheaply(t *testing.T) {
	good := small(t, features.Verdict).Bytes()
	body := good[:len(good)-sha256.Size]
	rng := rand.New(rand.NewPCG(2, 2))
	random := make([]byte, 1<<20)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	huge := bytes.Clone(body)
	binary.LittleEndian.PutUint32(huge[12:], math.MaxUint32)
	for name, file := range map[string][]byte{
		"empty":              nil,
		"no model":           []byte("hello"),
		"random":             random,
		"random body":        sealed(append([]byte("MLVERDICT\n\x01\x00"), random...)),
		"huge section":       sealed(huge),
		"cut short":          good[:len(good)/2],
		"cut short, sealed":  sealed(body[:len(body)/2]),
		"trailing bytes":     sealed(append(bytes.Clone(body), 0)),
		"other format":       sealed(append([]byte("MLVERDICT\n\x63\x00"), body[12:]...)),
		"larger than a file": make([]byte, model.MaxFileSize+1),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := model.Read(file)
			runtime.ReadMemStats(&after)
			require.ErrorIs(t, err, model.ErrFormat)
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20))
		})
	}
}

func TestForeignSchemaNamesBoth(t *testing.T) {
	good := small(t, features.Verdict).Bytes()
	body := good[:len(good)-sha256.Size]
	_, err := model.Read(sealed(bytes.Replace(body, []byte(features.Verdict.Name), []byte("verdict/9"), 1)))
	require.ErrorIs(t, err, model.ErrFormat)
	assert.ErrorContains(t, err, "verdict/9")
	assert.ErrorContains(t, err, features.Verdict.Name)
}

// What a header says is printed, in an error or by mlverdict inspect.
func TestHostileHeadersAreRefusedInFewPrintableWords(t *testing.T) {
	good := small(t, features.Verdict).Bytes()
	long := strings.Repeat(`\u001b[2J\n`, 1<<18)
	for name, edit := range map[string][2]string{
		"digest":           {`"digest":""`, `"digest":"` + long + `"`},
		"digest too short": {`"digest":""`, `"digest":"00ff"`},
		"base":             {`"normal":0`, `"base":"` + long + `"`},
		"negative number":  {`"normal":0`, `"normal":-1`},
		"negative site":    {`"normal":0`, `"site":-1`},
		"schema":           {features.Verdict.Name, long},
		"features":         {`"features":[`, `"schema_hash":"","features":["` + strings.Repeat(long+`","`, 3) + `",`},
		"huge number":      {`"seed":7`, `"seed":7` + strings.Repeat("7", 1<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := model.Read(withHeader(t, good, edit[0], edit[1]))
			require.ErrorIs(t, err, model.ErrFormat)
			assert.Less(t, len(err.Error()), 8000)
			for _, c := range err.Error() {
				assert.True(t, unicode.IsPrint(c), "%q", c)
			}
		})
	}
	_, err := model.Read(withHeader(t, good, `"digest":""`, `"digest":"`+strings.Repeat("0f", 32)+`","base":"0123456789ab"`))
	assert.NoError(t, err)
}

// withHeader replaces text in a file's header and seals the file again.
func withHeader(t *testing.T, file []byte, old, new string) []byte {
	t.Helper()
	start := 16 + int(binary.LittleEndian.Uint32(file[12:])) // of what follows the header
	head := strings.Replace(string(file[16:start]), old, new, 1)
	require.NotEqual(t, string(file[16:start]), head)
	body := binary.LittleEndian.AppendUint32(bytes.Clone(file[:12]), uint32(len(head)))
	return sealed(append(append(body, head...), file[start:len(file)-sha256.Size]...))
}

func FuzzRead(f *testing.F) {
	good := small(f, features.Verdict).Bytes()
	f.Add(good[:len(good)-sha256.Size])
	f.Add([]byte("MLVERDICT\n\x01\x00\x02\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := model.Read(sealed(body))
		if err != nil {
			assert.ErrorIs(t, err, model.ErrFormat)
			return
		}
		var d model.Verdict
		require.NoError(t, m.Judge(view(), &d))
	})
}

func TestDefaultModel(t *testing.T) {
	m := model.Default()
	assert.Same(t, m, model.Default())
	assert.Len(t, m.ID(), 12)
	assert.LessOrEqual(t, len(m.Bytes()), 2<<20, "the embedded model stays small")
}

// What a model's parts measure is what the model judges, also where it knows what is usual at a site.
func TestExtractorMeasuresAsTheModelDoes(t *testing.T) {
	plain := small(t, features.Verdict)
	var vectors [][]float32
	for _, m := range []*model.Model{plain, ofSite(t, plain)} {
		var s features.Scratch
		m.Parts().Extractor().Extract(&s, view())
		e, err := m.Explain(view())
		require.NoError(t, err)
		assert.Equal(t, e.Vector, s.Vector)
		vectors = append(vectors, s.Vector)
	}
	assert.NotEqual(t, vectors[0], vectors[1])
}

func TestCalibration(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	anomalies := make([]float64, 5000)
	for i := range anomalies {
		anomalies[i] = 0.3 + 0.4*rng.Float64()
	}
	c, err := model.Calibrate([][]float64{anomalies})
	require.NoError(t, err)
	var counts [model.MaxScore + 1]int
	for _, a := range anomalies {
		counts[c.Score(a)]++
	}
	sum := 0
	for s := model.MinScore; s <= model.MaxScore; s++ {
		sum += counts[s]
		assert.LessOrEqual(t, sum, int(model.Share(s)*float64(len(anomalies))+0.5), "score %d", s)
	}
	assert.Equal(t, len(anomalies), sum)
	for _, anchor := range []struct {
		score int
		share float64
	}{{5, 0.001}, {20, 0.01}, {50, 0.05}, {80, 0.5}} {
		assert.InDelta(t, anchor.share, model.Share(anchor.score), 1e-12)
	}
	assert.Equal(t, model.MinScore, c.Score(1))
	assert.Equal(t, model.MaxScore, c.Score(0))
	last := model.MaxScore
	for a := 0.0; a <= 1; a += 0.001 {
		s := c.Score(a)
		assert.LessOrEqual(t, s, last, "the score falls as the anomaly rises")
		last = s
	}

	_, err = model.Calibrate(nil)
	assert.Error(t, err)
	_, err = model.Calibrate([][]float64{{0.5}, {math.NaN()}})
	assert.Error(t, err)
	few, err := model.Calibrate([][]float64{{0.5, 0.5, 0.5}})
	require.NoError(t, err)
	assert.Greater(t, few.Score(0.5), 50, "three equal requests do not become attacks")
}

func TestReasonIsSafeInALog(t *testing.T) {
	m := small(t, features.Verdict)
	var d model.Verdict
	assert.Equal(t, "not scored", d.Reason())
	nasty := map[string]string{
		"line breaks": "\r\n2026/01/01 [notice] all is well", "quotes": `"'` + "`", "brackets": `"] [id "1"] [msg "`,
		"macro": "%{tx.ml_score}%{ENV.HOME}", "not UTF-8": "\xff\xc0\xaf\x80", "terminal": "\x1b[2J\x1b]0;title\x07\x9b31m",
		"zero": "\x00\x00", "direction": "\u202e\u2028", "backslashes": `\x27\\`,
	}
	for what, text := range nasty {
		v := view()
		v.Values[0].Name = strings.Repeat(text, 40)
		v.Values[0].Text = strings.Repeat("<script>alert(1)</script>"+text, 3)
		v.Matches = nil
		for rule := range 900 {
			v.Matches = append(v.Matches, request.Match{Rule: 941100 + rule, Paranoia: 1, Score: 5, Spans: []request.Span{{Lo: 0, Hi: 1}}})
		}
		require.NoError(t, m.Judge(v, &d))
		reason := d.Reason()
		assert.Contains(t, reason, "evidence", what)
		assert.LessOrEqual(t, len(reason), model.MaxReason, "%s: %s", what, reason)
		for _, c := range reason {
			assert.True(t, c >= ' ' && c <= '~' && !strings.ContainsRune("\"[]%", c), "%s: %q in %s", what, c, reason)
		}
		assert.Equal(t, 4, strings.Count(reason, "'"), "%s: no quote ends early: %s", what, reason)
	}
}

func TestReason(t *testing.T) {
	m := small(t, features.Verdict)
	path := []request.Value{{Place: request.Path, Text: "/shop"}}
	matching := func(rules ...int) *request.View {
		v := &request.View{Paranoia: 1, Limit: 5, Values: path}
		for _, rule := range rules {
			v.Matches = append(v.Matches, request.Match{Rule: rule, Paranoia: 1, Score: 5})
		}
		return v
	}
	long := matching()
	long.Values = []request.Value{{Place: request.Query, Name: "q", Text: "<script>alert(" + strings.Repeat("alert(", 30)}}
	tests := []struct {
		name string
		view *request.View
		want string
	}{
		{"nothing", matching(), `^no text like an attack; no rule that looks for attacks matched$`},
		{"protocol only", matching(920420), `^no text like an attack; no rule that looks for attacks matched$`},
		{"never seen", matching(941100), `^no text like an attack; rule 941100 never matched the like in a normal request$`},
		{"seen", matching(942100), `^no text like an attack; rule 942100 matches the like in 75% of normal requests$`},
		{"several", matching(920420, 941100, 942100), `^no text like an attack; rule 941100 \(rarest of 2\) never matched the like in a normal request$`},
		{"text", view(), `^xss evidence \d+\.\d in query 'q\\x5d\\x0a': '<script>alert.*'; rule 941100 never matched the like in a normal request$`},
		{"cut short", long, `^\w+ evidence \d+\.\d in query 'q': '<script>alert\(alert\([a-z(]*'\.\.\.; no rule`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var d model.Verdict
			require.NoError(t, m.Judge(tt.view, &d))
			assert.Regexp(t, tt.want, d.Reason())
		})
	}

	var d model.Verdict
	require.NoError(t, small(t, features.Thesis).Judge(view(), &d))
	assert.Equal(t, "the schema thesis-26/1 weighs neither text nor rules", d.Reason())
}

// An explanation is of the verdict that Judge gives, and adds up to its anomaly.
func TestExplain(t *testing.T) {
	for _, schema := range features.Schemas() {
		t.Run(schema.Name, func(t *testing.T) {
			m := small(t, schema)
			_, err := m.Explain(nil)
			assert.ErrorIs(t, err, model.ErrNoView)
			for _, v := range []*request.View{view(), {}, {Paranoia: 99, Values: []request.Value{{Place: 200, Text: "\xff\x00"}}}} {
				var want model.Verdict
				require.NoError(t, m.Judge(v, &want))
				e, err := m.Explain(v)
				require.NoError(t, err)
				assert.Equal(t, want, e.Verdict)
				assert.Equal(t, m.Parts().Forest.Anomaly(e.Vector), e.Verdict.Anomaly)
				sum := e.Forest.Base
				for _, contribution := range e.Forest.Features {
					sum += contribution
				}
				assert.InDelta(t, e.Margin, sum, 1e-9)
				assert.Equal(t, schema == features.Verdict && len(v.Values) > 0, len(e.Trace.Values) > 0)
			}
		})
	}
}

func TestRulesTellTheClassWhereTextDoesNot(t *testing.T) {
	m := small(t, features.Verdict)
	var d model.Verdict
	for rule, want := range map[int]evidence.Class{932100: evidence.RCE, 944100: evidence.Java, 930120: evidence.LFI, 913100: evidence.Other} {
		v := &request.View{Paranoia: 1, Limit: 5, Matches: []request.Match{{Rule: rule, Paranoia: 1, Score: 5}}}
		require.NoError(t, m.Judge(v, &d))
		assert.Equal(t, want, d.Class, "rule %d", rule)
		assert.Equal(t, d.Score, d.ClassScores[want])
	}
}

func TestJudgeIsTotalAndConcurrent(t *testing.T) {
	m := small(t, features.Verdict)
	var d model.Verdict
	assert.ErrorIs(t, m.Judge(nil, &d), model.ErrNoView)
	odd := []*request.View{
		{},
		{Paranoia: -3, Values: []request.Value{{Place: 200, Text: "\xff\x00"}}},
		{Paranoia: 99, Matches: []request.Match{{Rule: -1, Spans: []request.Span{{Lo: -5, Hi: 9}}}}},
	}
	for _, v := range odd {
		require.NoError(t, m.Judge(v, &d))
		assert.NotZero(t, d.Score)
	}
	var want model.Verdict
	require.NoError(t, m.Judge(view(), &want))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var got model.Verdict
			for range 200 {
				if err := m.Judge(view(), &got); err != nil || got != want {
					t.Errorf("got %v, %v", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
