// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/synthetic"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/training"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/request"
)

// summary summarizes rows for the embedded model.
func summary(t testing.TB, rows ...*traffic.Request) *training.Summary {
	t.Helper()
	s, err := training.NewSummary(model.Default())
	require.NoError(t, err)
	for _, row := range rows {
		s.Add(row, &record(t, row).View)
	}
	return s
}

func adapt(t testing.TB, s *training.Summary) *model.Model {
	t.Helper()
	m, err := training.Adapt(model.Default(), s)
	require.NoError(t, err)
	return m
}

// stored is a summary as another machine reads it.
func stored(t testing.TB, s *training.Summary) *training.Summary {
	t.Helper()
	b, err := s.Bytes()
	require.NoError(t, err)
	again, err := training.ReadSummary(b, model.Default())
	require.NoError(t, err)
	return again
}

// The promise: adapting to several summaries is adapting to all of their rows, byte by byte, in any order, also where
// requests stand in more than one of them.
func TestSummariesAdaptAsAllRows(t *testing.T) {
	rows := slices.Collect(synthetic.Benign(90, 1))
	want := adapt(t, summary(t, rows...)).Bytes()
	parts := []*training.Summary{
		stored(t, summary(t, rows[60:]...)), stored(t, summary(t, rows[:40]...)), stored(t, summary(t, rows[30:70]...)),
	}
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2, 1}} {
		merged := summary(t)
		for _, i := range order {
			require.NoError(t, merged.Merge(parts[i]))
		}
		assert.Equal(t, len(rows), merged.Len())
		assert.Equal(t, want, adapt(t, merged).Bytes(), "%v", order)
	}
	fewer := summary(t)
	require.NoError(t, fewer.Merge(parts[0]))
	assert.NotEqual(t, want, adapt(t, fewer).Bytes(), "else this test shows nothing")
}

func TestSummaryBytes(t *testing.T) {
	rows := slices.Collect(synthetic.Benign(20, 1))
	b, err := summary(t, rows...).Bytes()
	require.NoError(t, err)
	assert.True(t, training.IsSummary(b))
	slices.Reverse(rows)
	again, err := summary(t, append(rows, rows[3])...).Bytes()
	require.NoError(t, err)
	assert.Equal(t, b, again, "order and repeats do not matter")
	assert.Equal(t, summary(t, rows...).Manifest(), stored(t, summary(t, rows...)).Manifest())
	for _, row := range rows { // no text of a request, no name
		for _, v := range record(t, row).View.Values {
			for _, text := range []string{v.Name, v.Text} {
				if len(text) > 3 {
					assert.NotContains(t, string(b), text)
				}
			}
		}
	}
}

func TestSummaryOfAnotherModel(t *testing.T) {
	other := train(t, made().corpus(t), small())
	b, err := summary(t, slices.Collect(synthetic.Benign(3, 1))...).Bytes()
	require.NoError(t, err)
	_, err = training.ReadSummary(b, other)
	assert.ErrorContains(t, err, "made for another model")
	foreign, err := training.NewSummary(other)
	require.NoError(t, err)
	assert.ErrorContains(t, summary(t).Merge(foreign), "made for another model")
}

// seal gives a summary's bytes the checksum that fits them.
func seal(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(slices.Clone(body), sum[:]...)
}

func TestReadSummaryRefuses(t *testing.T) {
	good, err := summary(t, slices.Collect(synthetic.Benign(3, 1))...).Bytes()
	require.NoError(t, err)
	body := good[:len(good)-sha256.Size]
	names := len("MLVERDICT SUMMARY\n") + 2 + sha256.Size // where the table of names begins
	version := slices.Clone(body)
	version[len("MLVERDICT SUMMARY\n")] = 9
	for name, b := range map[string][]byte{
		"nothing":       {},
		"a model":       model.Default().Bytes(),
		"flipped":       append(slices.Clone(body), make([]byte, sha256.Size)...),
		"cut short":     good[:len(good)/2],
		"version":       seal(version),
		"sealed, cut":   seal(body[:len(body)-1]),
		"bytes after":   seal(append(slices.Clone(body), 0)),
		"huge table":    seal(binary.AppendUvarint(slices.Clone(body[:names]), 1<<60)),
		"huge requests": seal(binary.AppendUvarint(append(slices.Clone(body[:names]), 0), 1<<40)),
		"endless":       seal(append(slices.Clone(body[:names]), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)),
	} {
		_, err := training.ReadSummary(b, model.Default())
		assert.ErrorIs(t, err, training.ErrSummary, name)
	}
}

func FuzzReadSummary(f *testing.F) {
	good, err := summary(f, slices.Collect(synthetic.Benign(2, 1))...).Bytes()
	require.NoError(f, err)
	f.Add(good[:len(good)-sha256.Size])
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := training.ReadSummary(seal(body), model.Default())
		if err != nil {
			return
		}
		again, err := s.Bytes()
		require.NoError(t, err)
		same, err := training.ReadSummary(again, model.Default())
		require.NoError(t, err)
		third, err := same.Bytes()
		require.NoError(t, err)
		assert.Equal(t, again, third)
		if s.Len() == 0 {
			return
		}
		if adapted, err := training.Adapt(model.Default(), s); err == nil { // else it saw more than a model holds
			_, err = model.Read(adapted.Bytes())
			assert.NoError(t, err)
		}
	})
}

// tracked is a request whose parameter name is taken for SQL, as a site's own tracking might be.
func tracked(name string, i int) *traffic.Request {
	return &traffic.Request{Label: traffic.Benign, Method: "GET", URI: fmt.Sprintf("/page%d?%s=1%%27%%20or%%201=1--", i, name),
		Headers: [][2]string{{"Host", "shop.example"}, {"User-Agent", "Mozilla/5.0"}, {"Accept", "*/*"}}}
}

// A parameter enters a model only when enough different requests carry it, whatever it is called.
func TestModelsHoldNoRareParameter(t *testing.T) {
	baseline := func(name string, carriers int) []byte {
		rows := slices.Collect(synthetic.Benign(30, 1))
		for i := range carriers {
			rows = append(rows, tracked(name, i), tracked(name, i)) // a repeat is no other request
		}
		return adapt(t, summary(t, rows...)).Parts().Baseline.AppendBinary(nil)
	}
	assert.Equal(t, baseline("rosalinda", evidence.Carriers-1), baseline("friedrich", evidence.Carriers-1))
	assert.NotEqual(t, baseline("rosalinda", evidence.Carriers), baseline("friedrich", evidence.Carriers), "else this test shows nothing")
}

// What is usual in a parameter is cleared there, and an attack of the same kind in another one is judged as before.
func TestAdaptKnowsParameters(t *testing.T) {
	rows := slices.Collect(synthetic.Benign(30, 1))
	for i := range 60 {
		rows = append(rows, tracked("state", i))
	}
	m := adapt(t, summary(t, rows...))
	judge := func(m *model.Model, row *traffic.Request) float64 {
		var v model.Verdict
		at := record(t, row).View.AtParanoia(1)
		require.NoError(t, m.Judge(&at, &v))
		return v.Anomaly
	}
	usual, elsewhere := tracked("state", 1000), tracked("id", 1000)
	assert.Less(t, judge(m, usual), judge(m, elsewhere))
	assert.Less(t, judge(m, usual), judge(model.Default(), usual))
}

// BenchmarkAdapt makes a site's model of 100,000 requests, replayed before.
func BenchmarkAdapt(b *testing.B) {
	const requests = 100_000
	var views []request.View
	for row := range synthetic.Benign(100, 1) {
		views = append(views, record(b, row).View)
	}
	for b.Loop() {
		s, err := training.NewSummary(model.Default())
		require.NoError(b, err)
		for i := range requests {
			s.Add(&traffic.Request{Method: "GET", URI: fmt.Sprint("/", i)}, &views[i%len(views)])
		}
		require.Equal(b, requests, s.Len())
		adapt(b, s)
	}
}

// attack is a request whose parameter carries a script.
func attack(i int) *traffic.Request {
	return &traffic.Request{Label: traffic.Benign, Method: "GET", URI: fmt.Sprintf("/page%d?q%d=%%3Cscript%%3Ealert(%d)%%3C/script%%3E", i, i, i),
		Headers: [][2]string{{"Host", "shop.example"}, {"User-Agent", "Mozilla/5.0"}, {"Accept", "*/*"}}}
}

// Attacks that are a hundredth of a site's traffic do not become its habit; where they are a third, they do.
func TestAdaptDoubtsWhatLooksLikeAnAttack(t *testing.T) {
	const rule = 941110 // script tags
	rarity := func(attacks int) float64 {
		rows := slices.Collect(synthetic.Benign(100, 1))
		for i := range attacks {
			rows = append(rows, attack(i))
		}
		return adapt(t, summary(t, rows...)).Parts().Rules.Rarity(rule)
	}
	none := rarity(0)
	assert.InEpsilon(t, none, rarity(1), 0.05)
	assert.Greater(t, rarity(50), 10*none)
}

// What CRS flags of a site's traffic moves the scale, above all where normal requests are; what looks like an attack to the base
// model moves nothing.
func TestAdaptCalibratesOnTheSite(t *testing.T) {
	base := model.Default().Parts().Calibration
	rows := slices.Collect(synthetic.Benign(150, 1))
	site := adapt(t, summary(t, rows...)).Parts().Calibration
	for level := range base {
		assert.NotEqual(t, base[level], site[level], "level %d", level+1)
		for s := range model.Doubtful {
			assert.GreaterOrEqual(t, site[level][s], base[level][s], "the cuts of what looks like attacks only rise")
		}
	}
	scripts := make([]*traffic.Request, 50)
	for i := range scripts {
		scripts[i] = attack(i)
	}
	assert.Equal(t, base, adapt(t, summary(t, scripts...)).Parts().Calibration, "of attacks alone")
}
