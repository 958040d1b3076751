// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/training"
)

func TestNoRowOfTheTestGetsIn(t *testing.T) {
	data, into := t.TempDir(), filepath.Join(t.TempDir(), "validation")
	forbidden := map[string]bool{} // URIs of rows that test in data
	get := func(name string, i int) *traffic.Request {
		return &traffic.Request{Label: traffic.Benign, Method: "GET", URI: fmt.Sprintf("/%s/%d?q=%d", name, i, i)}
	}
	var trains, dev, hard, payloads, regression []*traffic.Request
	for i := range 200 {
		trains = append(trains, get("train", i))

		row := get("dev", i)
		row.Site = fmt.Sprint("site", i/4)
		forbidden[row.URI] = training.HalfOf(row) == training.Test
		dev = append(dev, row)

		row = get("hard", i)
		row.Set, row.Src = training.HardSet, fmt.Sprintf("template%d#%d", i/4, i)
		forbidden[row.URI] = !training.TrainsOn(row)
		hard = append(hard, row)

		payloads = append(payloads, &traffic.Request{Label: traffic.Attack, Class: "sqli", Payload: fmt.Sprintf("' OR %d=%d", i, i),
			Origin: []string{"modsec-learn", "httpparams", "fuzzdb"}[i%3]})
		row = get("test", i)
		row.Label, row.Rule = traffic.Attack, 942000+i/4
		regression = append(regression, row)
	}
	for name, rows := range map[string][]*traffic.Request{"benign-browsing-train": trains, "benign-api": trains[:1], "benign-browsing-dev": dev,
		training.HardSet: hard, "payloads-train": payloads, "attack-crs-regression-train": regression} {
		require.NoError(t, save(data, name, rows, io.Discard))
	}

	require.NoError(t, write(data, into, io.Discard))
	got := map[string][]*traffic.Request{}
	for _, name := range []string{"benign-browsing-train", "benign-api", "benign-browsing-dev", training.HardSet, "payloads-train",
		"attack-crs-regression-train", "attack-crs-regression", "attack-mgm"} {
		rows, err := read(into, name, all)
		require.NoError(t, err)
		require.NotEmpty(t, rows, name)
		for _, row := range rows {
			assert.False(t, forbidden[row.URI], row.URI)
		}
		got[name] = rows
	}
	halves := map[training.Half]map[string]bool{training.Tune: {}, training.Test: {}}
	for _, row := range got["benign-browsing-dev"] {
		halves[training.HalfOf(row)][row.Site] = true
	}
	assert.NotEmpty(t, halves[training.Tune])
	assert.NotEmpty(t, halves[training.Test])
	parts := map[bool]int{}
	for _, row := range got[training.HardSet] {
		parts[training.TrainsOn(row)]++
	}
	assert.Len(t, parts, 2)
	for _, row := range got["payloads-train"] {
		assert.Equal(t, "fuzzdb", row.Origin)
	}
	assert.Len(t, got["attack-mgm"], 134, "the payloads of the other two sources")
	rules := map[int]bool{}
	for _, row := range got["attack-crs-regression-train"] {
		rules[row.Rule] = true
	}
	for _, row := range got["attack-crs-regression"] {
		assert.False(t, rules[row.Rule], row.Rule)
	}
}

func TestWholeOrNotAtAll(t *testing.T) {
	into := filepath.Join(t.TempDir(), "validation")
	require.ErrorContains(t, write(t.TempDir(), into, io.Discard), "benign-browsing-train.jsonl.gz")
	assert.NoDirExists(t, into)

	require.NoError(t, os.Mkdir(into, 0o755))
	kept := filepath.Join(into, "kept")
	require.NoError(t, os.WriteFile(kept, nil, 0o600))
	require.ErrorContains(t, write(t.TempDir(), into, io.Discard), "want a folder that is not there yet")
	assert.FileExists(t, kept)
}
