// SPDX-License-Identifier: Apache-2.0

package scoreboard

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/synthetic"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/training"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/request"
)

// write puts rows into a request file.
func write(t testing.TB, dir, name string, rows iter.Seq[*traffic.Request], change func(*traffic.Request)) {
	t.Helper()
	w, err := traffic.Create(filepath.Join(dir, name+".jsonl.gz"))
	require.NoError(t, err)
	for r := range rows {
		if change != nil {
			change(r)
		}
		require.NoError(t, w.Write(r))
	}
	require.NoError(t, w.Close())
}

// traffics makes a folder of the files that the scoreboard knows.
func traffics(t testing.TB) string {
	dir := t.TempDir()
	write(t, dir, "benign-browsing-train", synthetic.Benign(150, 1), nil)
	write(t, dir, "payloads-train", synthetic.Payloads(60, 1), nil)
	write(t, dir, browsing, synthetic.Benign(120, 2), nil)
	write(t, dir, "attack-mgm", synthetic.Attacks(60, 2), nil)
	write(t, dir, regression, synthetic.Benign(10, 3), nil) // its benign rows only promise that one rule stays silent
	return dir
}

// cacheDir holds the replays of all tests.
var cacheDir string

func TestMain(m *testing.M) {
	var err error
	if cacheDir, err = os.MkdirTemp("", "scoreboard"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(cacheDir)
	os.Exit(code)
}

// load reads a folder.
func load(t testing.TB, dir string) (*Data, error) {
	t.Helper()
	cache, err := replay.OpenCache(cacheDir)
	require.NoError(t, err)
	defer cache.Close()
	return Load(dir, func(file string, f func(*replay.Recorded)) error {
		reader, err := traffic.Open(file)
		require.NoError(t, err)
		defer reader.Close()
		rows := func(yield func(*traffic.Request) bool) {
			for row, err := range reader.Requests() {
				require.NoError(t, err)
				if !yield(row) {
					return
				}
			}
		}
		for rec := range cache.Recordings(t.Context(), rows, 0) {
			f(&rec)
		}
		return nil
	})
}

func TestLoadPutsEachRowOnOneSide(t *testing.T) {
	d, err := load(t, traffics(t))
	require.NoError(t, err)
	assert.Len(t, d.Normal, 150)
	made := len(slices.Collect(training.Grammars(training.Defaults().Seed)))
	assert.Len(t, d.Payloads, made+60)
	assert.NotEmpty(t, d.Tuning)
	for _, s := range d.Tuning {
		assert.Equal(t, training.Tune, training.HalfOf(s.Request))
	}
	for _, s := range d.Test {
		if s.Set == browsing {
			assert.Equal(t, training.Test, training.HalfOf(s.Request))
		}
		assert.False(t, s.Set == regression && s.Label == traffic.Benign, "CRS's own benign rows are no normal traffic")
	}
	sets := map[string]Set{}
	for _, s := range d.Sets {
		sets[s.Name] = s
	}
	assert.Equal(t, 10, sets[regression].Ignored)
	dropped := 0
	for _, n := range sets["attack-mgm"].Known {
		dropped += n
	}
	assert.NotZero(t, dropped, "the generator repeats itself")
	assert.Equal(t, 60, dropped+sets["attack-mgm"].Test)
	assert.Contains(t, d.Notes, "csic2010 is not there: what rests on it is left out.")
}

// siteOf names a site of a half.
func siteOf(half training.Half) string {
	for i := 0; ; i++ {
		if r := (&traffic.Request{Site: fmt.Sprint("site", i)}); training.HalfOf(r) == half {
			return r.Site
		}
	}
}

func TestLoadWithoutBrowsing(t *testing.T) {
	const want = "has no benign-browsing-dev.jsonl.gz with sites of both halves"
	_, err := load(t, t.TempDir())
	assert.ErrorContains(t, err, want)

	dir := t.TempDir() // nothing normal to test on
	write(t, dir, browsing, synthetic.Benign(20, 2), func(r *traffic.Request) { r.Site = siteOf(training.Tune) })
	write(t, dir, "attack-mgm", synthetic.Attacks(5, 2), nil)
	_, err = load(t, dir)
	assert.ErrorContains(t, err, want)
}

func TestLeaksAreNamed(t *testing.T) {
	d, err := load(t, traffics(t))
	require.NoError(t, err)
	manifest := func(rows ...*traffic.Request) Manifest {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		for _, r := range rows {
			digest := r.Digest()
			z.Write([]byte(hex.EncodeToString(digest[:]) + "\n"))
		}
		require.NoError(t, z.Close())
		m, err := ReadManifest(&b)
		require.NoError(t, err)
		return m
	}
	assert.NoError(t, d.Leaks(manifest(d.Normal[0].Request)), "what trains does not test")
	leaked := d.Test[len(d.Test)/2]
	err = d.Leaks(manifest(d.Normal[0].Request, leaked.Request))
	assert.ErrorIs(t, err, ErrLeak)
	assert.ErrorContains(t, err, filepath.Base(leaked.File))
	_, err = ReadManifest(bytes.NewReader([]byte("plain text")))
	assert.ErrorContains(t, err, "scoreboard: manifest: gzip")
}

func TestKnownPayloads(t *testing.T) {
	known := payloadTexts{}
	known.add("1' OR 1=1")
	known.add("%3Cscript%3E")
	for text, want := range map[string]bool{
		"1' or 1=1": true, " 1' OR 1=1 ": true, "1%27+or+1%3D1": true, "<SCRIPT>": true, "1' or 1=2": false, "": false,
	} {
		v := request.View{Values: []request.Value{{Place: request.Header, Text: "<script>"}, {Place: request.Form, Text: text}}}
		assert.Equal(t, want, known.holds(&v), "%q", text)
	}
}

func TestWilson(t *testing.T) {
	// By bisection on the definition: the shares at which the score test |n/total − p| = z·√(p(1−p)/total) just holds.
	for _, c := range []struct {
		n, total  int
		low, high float64
	}{
		{0, 10, 0, 0.2775}, {10, 10, 0.7225, 1}, {5, 10, 0.2366, 0.7634}, {1, 100, 0.0018, 0.0545}, {0, 0, 0, 1},
	} {
		low, high := Wilson(c.n, c.total)
		assert.InDelta(t, c.low, low, 1e-4, "%d of %d", c.n, c.total)
		assert.InDelta(t, c.high, high, 1e-4, "%d of %d", c.n, c.total)
	}
}

func TestQuantileCut(t *testing.T) {
	rising := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for share, cleared := range map[float64]int{0.9: 9, 0.91: 10, 0.05: 1, 0.99: 10} {
		cut, n := quantileCut(rising, share), 0
		for _, a := range rising {
			if !denies(a, cut) {
				n++
			}
		}
		assert.Equal(t, cleared, n, "%v", share)
	}
	inf := math.Inf(1)
	cut := quantileCut([]float64{1, 2, inf, inf}, 0.9)
	assert.Nil(t, finite([]float64{cut})[0], "no cut clears so many")
	assert.False(t, denies(2, cut))
	assert.True(t, denies(inf, cut), "what no cut clears stays denied")
}

func TestMeasureIsTheSameTwice(t *testing.T) {
	dir := traffics(t)
	var texts [2]string
	for i := range texts {
		d, err := load(t, dir)
		require.NoError(t, err)
		m := model.Default()
		r := New(d, m)
		r.Measure(d, []Contender{Judged("mlverdict", "", m)})
		require.NoError(t, r.MeasureSites(d, []Adapter{{Described{Name: "mlverdict"},
			func([]Sample) (Contender, error) { return Judged("mlverdict", "", m), nil }}}))
		r.Ask(d, m)
		text, err := r.JSON()
		require.NoError(t, err)
		texts[i] = string(text)
	}
	assert.Equal(t, texts[0], texts[1])
}

func TestSitesAreSplitByRecordingOrder(t *testing.T) {
	row := func(site, src string) Sample {
		return Sample{Request: &traffic.Request{Set: browsing, Site: site, Src: src}}
	}
	list := sites([]Sample{row("b", "f#10"), row("b", "f#9"), row("a", "g#1"), row("b", "h#1"), row("b", "f#2"), row("b", "h#0"), row("b", "f#100")})
	sources := func(samples []Sample) (all []string) {
		for _, s := range samples {
			all = append(all, s.Src)
		}
		return all
	}
	require.Len(t, list, 1, "site a has no earlier half")
	assert.Equal(t, []string{"f#2", "f#9", "h#0"}, sources(list[0].earlier), "by number, each recording by itself")
	assert.Equal(t, []string{"f#10", "f#100", "h#1"}, sources(list[0].later))
}

func TestClassReports(t *testing.T) {
	sample := func(label, class string) Sample {
		return Sample{Request: &traffic.Request{Label: label, Class: class}}
	}
	samples := []Sample{sample(traffic.Benign, ""), sample(traffic.Benign, ""), sample(traffic.Attack, "sqli"), sample(traffic.Attack, "xss")}
	answers := []answer{{score: 90}, {10, evidence.SQLi}, {10, evidence.SQLi}, {60, evidence.XSS}}
	want := []ClassReport{
		{"benign", 2, 0.5, 0.5, 0.5}, {"sqli", 1, 0.5, 1, 0.6667}, {"xss", 1, 0, 0, 0},
		{"micro average", 4, 0.5, 0.5, 0.5}, {"macro average", 4, 0.3333, 0.5, 0.3889}, {"weighted average", 4, 0.375, 0.5, 0.4167},
	}
	assert.Equal(t, want, classReports(samples, answers))
}

// The article's table holds browsing, SQL injection and cross-site scripting; a class beside them is nobody's hit.
func TestArticleReports(t *testing.T) {
	sample := func(set, label, class string) Sample {
		return Sample{Request: &traffic.Request{Set: set, Label: label, Class: class}}
	}
	samples := []Sample{
		sample(browsing, traffic.Benign, ""), sample(browsing, traffic.Benign, ""), sample(training.HardSet, traffic.Benign, ""),
		sample("attack-mgm", traffic.Attack, "sqli"), sample("attack-mgm", traffic.Attack, "sqli"), sample("attack-mgm", traffic.Attack, "xss"),
		sample("attack-mgm", traffic.Attack, "rce"), sample(csic, traffic.Attack, "sqli"),
	}
	answers := []answer{{score: 90}, {10, evidence.XSS}, {10, evidence.XSS}, {10, evidence.SQLi}, {10, evidence.RCE}, {10, evidence.XSS},
		{10, evidence.SQLi}, {score: 90}}
	want := []ClassReport{
		{"benign", 2, 1, 0.5, 0.6667}, {"sqli", 2, 1, 0.5, 0.6667}, {"xss", 1, 0.5, 1, 0.6667},
		{"macro average", 5, 0.8333, 0.6667, 0.6667}, {"weighted average", 5, 0.9, 0.6, 0.6667},
	}
	assert.Equal(t, want, articleReports(samples, answers))
}

func TestGoTestWAF(t *testing.T) {
	flagged := request.View{Earned: [4]int{5}, Limit: 5}
	passed := request.View{Limit: 5}
	sample := func(label, src string, view request.View) Sample {
		return Sample{Request: &traffic.Request{Set: gotestwaf, Label: label, Src: src}, View: view}
	}
	samples := []Sample{
		sample(traffic.Attack, "owasp-api/graphql.yml#0", flagged), sample(traffic.Attack, "owasp-api/rest.yml#0", passed),
		sample(traffic.Attack, "owasp/xss.yml#0", flagged), sample(traffic.Benign, "false-pos/texts.yml#0", flagged),
	}
	answers := []answer{{score: 10}, {score: 10}, {score: 10}, {score: 90}}
	got := goTestWAFScores(samples, answers, 1)
	assert.Equal(t, GoTestWAFScore{API: 0.5, Application: 0.5, Overall: 0.5}, got.CRS)
	assert.Equal(t, GoTestWAFScore{API: 0.5, Application: 1, Overall: 0.75}, got.Model)
}
