// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"encoding/hex"
	"fmt"
	"iter"
	"net/url"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/synthetic"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/training"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/features"
	"github.com/mlverdict/mlverdict/model/request"
)

var replayer = sync.OnceValues(replay.New)

// recordings of the rows that a test has asked for, by digest: many tests ask for the same ones.
var recordings = map[[32]byte]replay.Recording{}

func record(t testing.TB, row *traffic.Request) *replay.Recorded {
	t.Helper()
	if row.IsPayload() {
		return &replay.Recorded{Request: row}
	}
	rec, ok := recordings[row.Digest()]
	if !ok {
		r, err := replayer()
		require.NoError(t, err)
		rec, err = r.Replay(row)
		require.NoError(t, err)
		recordings[row.Digest()] = rec
	}
	return &replay.Recorded{Request: row, Recording: rec}
}

// rows are what a model is made of.
type rows struct{ normal, attacks, tuning []*traffic.Request }

func made() rows {
	return rows{
		normal:  slices.Collect(synthetic.Benign(80, 1)),
		attacks: append(slices.Collect(synthetic.Payloads(100, 2)), slices.Collect(synthetic.Attacks(8, 3))...),
		tuning:  slices.Collect(synthetic.Benign(60, 4)),
	}
}

func (r rows) corpus(t *testing.T) *training.Corpus {
	t.Helper()
	var c training.Corpus
	for _, row := range r.normal {
		c.AddNormal(record(t, row))
	}
	for _, row := range r.attacks {
		c.AddAttack(record(t, row))
	}
	for _, row := range r.tuning {
		c.AddTuning(record(t, row))
	}
	return &c
}

func small() training.Params {
	p := training.Defaults()
	p.Forest.Trees, p.NGrams = 10, 5000
	return p
}

func train(t *testing.T, c *training.Corpus, p training.Params) *model.Model {
	t.Helper()
	m, err := training.Train(c, p)
	require.NoError(t, err)
	return m
}

// The same rows, parameters and seed give the same file, byte by byte.
func TestTrainIsDeterministic(t *testing.T) {
	for _, schema := range features.Schemas() {
		t.Run(schema.Name, func(t *testing.T) {
			p := small()
			p.Schema = schema
			first := made().corpus(t)
			m := train(t, first, p)
			for range 3 {
				assert.Equal(t, m.Bytes(), train(t, first, p).Bytes(), "training changes nothing in the corpus")
			}
			second := made().corpus(t)
			again := train(t, second, p)
			assert.Equal(t, m.Bytes(), again.Bytes())
			assert.Equal(t, training.Card(m, first, p), training.Card(again, second, p))
			p.Seed++
			assert.NotEqual(t, m.Bytes(), train(t, first, p).Bytes())
		})
	}
}

// The manifest lists every row that a model is made of, those that calibrated it too, so that a test set can be held
// against it.
func TestManifestListsEveryRow(t *testing.T) {
	r := made()
	r.normal = append(r.normal, r.normal[0]) // a repeat is listed once
	c := r.corpus(t)
	manifest := c.Manifest()
	assert.True(t, slices.IsSorted(manifest))
	want := map[string]bool{}
	for _, row := range slices.Concat(r.normal, r.attacks, r.tuning) {
		digest := row.Digest()
		want[hex.EncodeToString(digest[:])] = true
	}
	assert.Len(t, manifest, len(want))
	for _, line := range manifest {
		assert.True(t, want[line], line)
	}

	m := train(t, c, small())
	assert.Equal(t, c.Digest(), m.Parts().Data.Digest)
	other := made()
	other.tuning = other.tuning[1:]
	assert.NotEqual(t, c.Digest(), other.corpus(t).Digest())
}

// A payload that cannot be told from normal text teaches nothing and stands in no manifest; one that is like no other stays, and whole
// requests do.
func TestIndistinctPayloadsAreLeftOut(t *testing.T) {
	r := made()
	before := r.corpus(t)
	all := len(before.Manifest())
	left, err := before.LeaveOutIndistinct(small())
	require.NoError(t, err)
	require.Zero(t, left, "they are all like attacks")

	word := &traffic.Request{Label: traffic.Attack, Class: "sqli", Payload: "blue"}
	again := *word
	lonely := &traffic.Request{Label: traffic.Attack, Class: "xxe", Payload: `<!DOCTYPE z [<!ENTITY x SYSTEM "gopher://q">]>`}
	r.attacks = append(r.attacks, word, &again, lonely)
	c := r.corpus(t)
	attacks := len(c.Attacks)
	also, err := c.LeaveOutIndistinct(small())
	require.NoError(t, err)
	assert.Equal(t, 2, also)
	assert.Equal(t, attacks-also, len(c.Attacks))
	assert.Equal(t, all+1, len(c.Manifest()))
	digest := word.Digest()
	assert.NotContains(t, c.Manifest(), hex.EncodeToString(digest[:]))
	assert.Equal(t, len(before.Harmful), len(c.Harmful))
}

// A word that too few requests carry is not in a model: swapping it for another one changes no witness.
func TestModelsHoldNoRareWord(t *testing.T) {
	carrying := func(word string, carriers int) *model.Model {
		r := made()
		for i := range carriers {
			visitor := *r.normal[i]
			visitor.URI = fmt.Sprintf("/account?owner=%s&n=%d", word, i)
			r.normal = append(r.normal, &visitor)
		}
		return train(t, r.corpus(t), small())
	}
	witnesses := func(m *model.Model) []byte {
		chains, err := m.Parts().Chains.AppendBinary(nil)
		require.NoError(t, err)
		both, err := m.Parts().Rules.AppendBinary(chains)
		require.NoError(t, err)
		return both
	}
	few := int(training.Defaults().Carriers) - 1
	assert.Equal(t, witnesses(carrying("rosalinda", few)), witnesses(carrying("friedrich", few)))
	assert.NotEqual(t, witnesses(carrying("rosalinda", few+1)), witnesses(carrying("friedrich", few+1)),
		"else this test shows nothing")
	assert.NotContains(t, string(carrying("rosalinda", few+1).Bytes()), "rosalinda", "and no word stands there in clear")
}

func TestTrainErrors(t *testing.T) {
	r := made()
	tests := map[string]struct {
		rows rows
		want string
	}{
		"nothing":    {rows{}, "no normal requests"},
		"no normal":  {rows{attacks: r.attacks, tuning: r.tuning}, "no normal requests"},
		"no attacks": {rows{normal: r.normal, tuning: r.tuning}, "no attack"},
		"one site":   {rows{normal: of(r.normal, r.normal[0].Site), attacks: r.attacks}, "paranoia level 1"}, // nothing to hold it against
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := training.Train(tt.rows.corpus(t), small())
			require.ErrorContains(t, err, "training: ")
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

// of lists the rows of one site.
func of(all []*traffic.Request, site string) (list []*traffic.Request) {
	for _, row := range all {
		if row.Site == site {
			list = append(list, row)
		}
	}
	return list
}

// The card names the sets and holds no text of a row.
func TestCard(t *testing.T) {
	r := made()
	c := r.corpus(t)
	m := train(t, c, small())
	card := string(training.Card(m, c, small()))
	assert.Contains(t, card, m.ID())
	assert.Contains(t, card, "| synthetic-benign | 80 |")
	for _, f := range m.Parts().Schema.Features {
		assert.Contains(t, card, f.Name)
	}
	for _, row := range slices.Concat(r.normal, r.attacks) {
		if len(row.Payload) > 8 {
			assert.NotContains(t, card, row.Payload)
		}
		if row.URI != "" {
			assert.NotContains(t, card, row.URI)
		}
	}
	assert.Contains(t, card, "made-up texts trained it")
	rival := small()
	rival.Schema = features.Thesis
	card = string(training.Card(train(t, c, rival), c, rival))
	assert.NotContains(t, card, "made-up texts trained it", "a schema without chains learns from normal requests alone")
}

// Without augmentation no noise corrects the chains, and rows weigh the leaves as they came: attack requests, if there are any.
func TestTrainWithoutAugmentation(t *testing.T) {
	p := small()
	p.Augment = false
	r := made()
	c := r.corpus(t)
	with, without := train(t, c, small()), train(t, c, p)
	chains := func(m *model.Model) []byte {
		b, err := m.Parts().Chains.AppendBinary(nil)
		require.NoError(t, err)
		return b
	}
	assert.NotEqual(t, chains(with), chains(without))
	assert.Equal(t, without.Bytes(), train(t, c, p).Bytes())
	assert.Contains(t, string(training.Card(without, c, p)), "None (`--augment=false`)")
	assert.NotContains(t, string(training.Card(with, c, small())), "--augment=false")

	assert.True(t, without.Parts().Forest.Weighed())
	assert.Contains(t, string(training.Card(without, c, p)), "weighed the leaves of")
	r.attacks = slices.DeleteFunc(r.attacks, func(row *traffic.Request) bool { return !row.IsPayload() })
	bare := r.corpus(t)
	unweighed := train(t, bare, p)
	assert.False(t, unweighed.Parts().Forest.Weighed())
	assert.Contains(t, string(training.Card(unweighed, bare, p)), "no leaf is weighed")
}

// TestNoiseTeachesRules: what is made up holds noise that went through CRS, no more than there are normal requests, and a rule
// that such texts trip over surprises less for it, any other one as before.
func TestNoiseTeachesRules(t *testing.T) {
	cache, err := replay.OpenCache(t.TempDir())
	require.NoError(t, err)
	defer cache.Close()
	r := made()
	augmented := func() *training.Corpus {
		c := r.corpus(t)
		c.AddGrammars(1)
		require.NoError(t, c.AddMadeUp(t.Context(), cache, r.normal, 1))
		return c
	}
	c := augmented()
	m := train(t, c, small())
	assert.Equal(t, m.Bytes(), train(t, augmented(), small()).Bytes())
	assert.InDelta(t, len(r.normal), len(c.Noise), 6)

	quiet := augmented()
	quiet.Noise = nil
	without := train(t, quiet, small())
	const lineBreak = 921151 // in an argument of the query, which pieces of JSON have
	var unchanged int
	with, before := m.Parts().Rules, without.Parts().Rules
	assert.Greater(t, with.Rarity(lineBreak), before.Rarity(lineBreak))
	for rule := 930000; rule < 945000; rule++ {
		is, was := with.Rarity(rule), before.Rarity(rule)
		assert.GreaterOrEqual(t, is, was, "rule %d: noise makes nothing rarer", rule)
		if was > 0 && is == was {
			unchanged++
		}
	}
	assert.Positive(t, unchanged, "what traffic shows more often than noise stays")
}

// The halves are fixed for ever: figures of two versions are comparable only on the same half.
func TestHalfOf(t *testing.T) {
	for site, want := range map[string]training.Half{
		"shop0": training.Test, "shop1": training.Tune, "shop2": training.Test, "shop3": training.Tune, "www.example.org": training.Tune,
	} {
		assert.Equal(t, want, training.HalfOf(&traffic.Request{Site: site}), site)
	}
	for _, origin := range []string{"", "a", "b", "c", "d"} {
		assert.Equal(t, training.Tune, training.HalfOf(&traffic.Request{Origin: origin}), "nothing tells these apart: no test may count on them")
	}
	in := map[training.Half]int{}
	for i := range 400 {
		in[training.HalfOf(&traffic.Request{Site: fmt.Sprintf("site%d.example", i)})]++
	}
	assert.Len(t, in, 2)
	assert.InDelta(t, 200, in[training.Tune], 40)
	assert.Equal(t, 400, in[training.Tune]+in[training.Test])
}

// No site is on both sides, whatever else differs between its requests.
func TestHalvesShareNoSite(t *testing.T) {
	half := map[string]training.Half{}
	for row := range synthetic.Benign(500, 5) {
		h := training.HalfOf(row)
		if before, ok := half[row.Site]; ok {
			assert.Equal(t, before, h)
		}
		half[row.Site] = h
	}
	assert.Len(t, half, synthetic.Sites)
	assert.Contains(t, half, "shop1")
}

func TestGroup(t *testing.T) {
	r := traffic.Request{Site: "s", App: "a", Kind: "k", Origin: "o"}
	assert.Equal(t, "s", training.Group(&r))
	r.Site = ""
	assert.Equal(t, "a", training.Group(&r))
	r.App = ""
	assert.Equal(t, "k", training.Group(&r))
	r.Kind = ""
	assert.Equal(t, "o", training.Group(&r))
}

// The same request is held out or not wherever it stands, so it cannot be on both sides either.
func TestHeldOut(t *testing.T) {
	n := 0
	for row := range synthetic.Benign(1000, 6) {
		other := *row
		other.Set, other.Site, other.Src, other.Line = "x", "y", "z", 7
		assert.Equal(t, training.HeldOut(row), training.HeldOut(&other))
		if training.HeldOut(row) {
			n++
		}
	}
	assert.InDelta(t, 200, n, 60)
}

// Operating points of a model that gives every request the score 20: what is counted, by hand.
func TestOperatingPoints(t *testing.T) {
	m := constant(t, 20)
	flagged := request.View{Limit: 5, Earned: [4]int{0, 5}} // from level 2 on
	passed := request.View{Limit: 5}
	benign := []request.View{flagged, passed, passed, passed}
	attacks := []request.View{flagged, flagged, passed}
	points, err := training.OperatingPoints(m, benign, attacks, 0.01)
	require.NoError(t, err)
	require.Len(t, points, request.ParanoiaLevels)
	assert.Equal(t, training.Operating{Paranoia: 1, Threshold: 99, Detect: 19, Benign: 4}, points[0], "CRS denies nothing: any threshold will do")
	assert.Equal(t, training.Operating{Paranoia: 2, Threshold: 19, Detect: 19, Benign: 4, CRSRate: 0.25, Attacks: 2}, points[1])

	points, err = training.OperatingPoints(m, benign, attacks, 0.25)
	require.NoError(t, err)
	assert.Equal(t, training.Operating{Paranoia: 2, Threshold: 99, Detect: 19, Benign: 4, CRSRate: 0.25, Rate: 0.25, Attacks: 2, Kept: 2}, points[1])

	hundred := append(slices.Repeat([]request.View{flagged}, 29), slices.Repeat([]request.View{passed}, 71)...)
	points, err = training.OperatingPoints(m, hundred, attacks, 0.29) // times 100 a little less than 29
	require.NoError(t, err)
	assert.Equal(t, 99, points[1].Threshold)
}

func constant(t *testing.T, score int) *model.Model {
	t.Helper()
	file, err := os.ReadFile(waftest.Model(t, score))
	require.NoError(t, err)
	m, err := model.Read(file)
	require.NoError(t, err)
	return m
}

// A site that sends everything five times counts as one that sends it once.
func TestSitesCalibrateAlike(t *testing.T) {
	once := made()
	once.tuning = elsewhere(synthetic.Benign(200, 4))
	repeated := once
	for _, row := range of(once.tuning, once.tuning[0].Site) {
		repeated.tuning = append(repeated.tuning, row, row, row, row)
	}
	const level = 4 // at which CRS flags enough of each site
	want := train(t, once.corpus(t), small()).Parts().Calibration[level-1]
	got := train(t, repeated.corpus(t), small()).Parts().Calibration[level-1]
	assert.Equal(t, want[49:], got[49:])
}

// elsewhere lists the rows as those of other sites.
func elsewhere(all iter.Seq[*traffic.Request]) (list []*traffic.Request) {
	for row := range all {
		other := *row
		other.Site = "elsewhere-" + row.Site
		list = append(list, &other)
	}
	return list
}

// Sites that train calibrate as well, each by what was learned from others: alone they promise what holds on other sites, and odd
// requests of one of them make the scale more careful.
func TestTrainingSitesCalibrate(t *testing.T) {
	r := made()
	r.normal = slices.Collect(synthetic.Benign(300, 1))
	r.tuning = nil
	m := train(t, r.corpus(t), small())
	const level = 4
	var denied, flagged int
	for _, row := range elsewhere(synthetic.Benign(300, 9)) {
		v := record(t, row).View.AtParanoia(level)
		if !v.Denied() {
			continue
		}
		flagged++
		var verdict model.Verdict
		require.NoError(t, m.Judge(&v, &verdict))
		if verdict.Score <= 50 {
			denied++
		}
	}
	require.Greater(t, flagged, 100)
	assert.LessOrEqual(t, float64(denied)/float64(flagged), 0.1, "%d of %d", denied, flagged)

	for _, row := range of(r.normal, r.normal[0].Site) {
		odd := *row
		odd.URI += "&note=" + url.QueryEscape("it's 'so' -- or union select; 1=1 #")
		r.normal = append(r.normal, &odd)
	}
	careful := train(t, r.corpus(t), small())
	assert.Greater(t, careful.Parts().Calibration[level-1][19], m.Parts().Calibration[level-1][19])
}

// One attack that stands in many of a request's arguments is no wrapping of many attacks.
func TestOneAttackInManyArguments(t *testing.T) {
	r := made()
	uri := "/?"
	for i := range 10 {
		uri += fmt.Sprintf("&a%d=1%%27%%20union%%20select%%20password%%20from%%20users--", i)
	}
	r.attacks = []*traffic.Request{{Label: traffic.Attack, Class: "sqli", Method: "GET", URI: uri,
		Headers: [][2]string{{"Host", "localhost"}, {"User-Agent", "Mozilla/5.0"}, {"Accept", "*/*"}}}}
	train(t, r.corpus(t), small())
}
