// SPDX-License-Identifier: Apache-2.0

package augment_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/augment"
	"github.com/mlverdict/mlverdict/internal/synthetic"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/waf"
)

func sources() *augment.Sources {
	s := augment.NewSources(seeded(7))
	for r := range synthetic.Benign(100, 1) {
		s.Add(r)
	}
	for r := range synthetic.Payloads(300, 1) {
		s.Add(r)
	}
	return s
}

func rows(t *testing.T, k augment.Kind, s *augment.Sources, o augment.Options, seed uint64, n int) []*traffic.Request {
	t.Helper()
	all, err := k.Rows(context.Background(), s, o, seeded(seed))
	require.NoError(t, err)
	return take(all, n)
}

func TestKinds(t *testing.T) {
	for _, k := range augment.Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			s := sources()
			got := rows(t, k, s, augment.Options{}, 1, 12)
			require.Len(t, got, 12)
			assert.Equal(t, got, rows(t, k, sources(), augment.Options{}, 1, 12), "the same seed gives the same rows")
			assert.NotEqual(t, got, rows(t, k, s, augment.Options{}, 2, 12))
			for _, r := range got {
				require.NoError(t, r.Validate())
				_, err := r.MarshalJSON()
				require.NoError(t, err)
				assert.Equal(t, k.Label, r.Label)
				assert.Equal(t, "augment-"+k.Name, r.Set)
				assert.Equal(t, k.Label == traffic.Attack, r.Class != "", "attacks have a class, normal text has none")
			}
			without, err := k.Rows(context.Background(), augment.NewSources(seeded(1)), augment.Options{}, seeded(1))
			if k.NeedsNormal || k.NeedsAttacks {
				assert.ErrorContains(t, err, "there is none")
			} else {
				require.NoError(t, err)
				assert.Len(t, take(without, 3), 3)
			}
		})
	}
}

func kind(t *testing.T, name string) augment.Kind {
	t.Helper()
	for _, k := range augment.Kinds() {
		if k.Name == name {
			return k
		}
	}
	require.Fail(t, "no kind", name)
	return augment.Kind{}
}

func TestKindOrders(t *testing.T) {
	for name, wrong := range map[string][]int{"noise-sql": {1}, "markov-benign": {-1, 7}, "markov-negative": {3}, "markov-attack": {2, 7}} {
		for _, order := range wrong {
			k := kind(t, name)
			_, err := k.Rows(context.Background(), sources(), augment.Options{Order: order}, seeded(1))
			assert.Error(t, err, "%s %d", name, order)
		}
	}
}

func TestKindUnits(t *testing.T) {
	for name, takes := range map[string][]augment.Unit{
		"noise-sql": nil, "mutate-merge": nil, "markov-negative": {augment.Characters},
		"markov-benign": {augment.Characters, augment.Tokens}, "markov-attack": {augment.Characters, augment.Tokens},
	} {
		k := kind(t, name)
		for _, unit := range []augment.Unit{augment.Characters, augment.Tokens} {
			assert.Equal(t, slices.Contains(takes, unit), k.Check(augment.Options{Unit: unit}) == nil, "%s %s", name, unit)
		}
	}
	k := kind(t, "markov-benign")
	usual := rows(t, k, sources(), augment.Options{}, 1, 5)
	assert.Equal(t, usual, rows(t, k, sources(), augment.Options{Unit: augment.Characters}, 1, 5))
	assert.NotEqual(t, usual, rows(t, k, sources(), augment.Options{Unit: augment.Tokens}, 1, 5))
}

// Attacks in context stand in every place that a request has.
func TestContextPlaces(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rows(t, kind(t, "context-wrap"), sources(), augment.Options{}, 1, 200) {
		last := r.Headers[len(r.Headers)-1][0]
		contentType := ""
		for _, h := range r.Headers {
			if strings.EqualFold(h[0], "content-type") {
				contentType, _, _ = strings.Cut(h[1], ";")
			}
		}
		seen[r.Method+" "+contentType] = true
		seen[last] = true
		seen["path"] = seen["path"] || strings.Count(r.URI, "/") == 3
	}
	for _, place := range []string{"POST application/x-www-form-urlencoded", "POST application/json", "POST application/xml", "POST multipart/form-data", "path"} {
		assert.True(t, seen[place], "%s: %v", place, seen)
	}
}

// What markov-attack makes is new, and a CRS at paranoia level 1 that knows nothing of this package denies each of it.
func TestMarkovAttacksAreAttacks(t *testing.T) {
	w, err := waf.New(waf.Config{Paranoia: 1})
	require.NoError(t, err)
	s := sources()
	known := map[string]bool{}
	for _, p := range s.Payloads {
		known[p.Payload] = true
	}
	classes := map[string]bool{}
	for _, r := range rows(t, kind(t, "markov-attack"), s, augment.Options{Order: 4}, 3, 25) {
		assert.False(t, known[r.Payload], r.Payload)
		tx := w.NewTransaction()
		interruption, err := augment.InQuery(r.Payload).Replay(tx)
		require.NoError(t, err)
		require.NotNil(t, interruption, r.Payload)
		assert.Equal(t, 949110, interruption.RuleID, r.Payload)
		require.NoError(t, tx.Close())
		classes[r.Class] = true
	}
	assert.True(t, classes["sqli"] && classes["xss"] && classes["rce"], "%v", classes)
}

// Where there is nothing new, or nothing that CRS denies, the rows end.
func TestMarkovAttacksEnd(t *testing.T) {
	for name, payloads := range map[string][]string{
		"nothing new":  {"ab", "cb"},
		"nothing bad":  {"abcdef", "xbcdez"},
		"long sources": {strings.Repeat("a", 5000)},
	} {
		s := augment.NewSources(seeded(1))
		s.Add(&traffic.Request{Label: traffic.Attack, Payload: "seen"})
		for _, p := range payloads {
			s.Add(&traffic.Request{Label: traffic.Attack, Payload: p})
		}
		assert.Empty(t, rows(t, kind(t, "markov-attack"), s, augment.Options{Order: 3}, 1, 1), name)
	}
}

func TestRowsStop(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	k := kind(t, "noise-sql")
	all, err := k.Rows(ctx, sources(), augment.Options{}, seeded(1))
	require.NoError(t, err)
	assert.Len(t, take(all, 2), 2)
	cancel()
	assert.Empty(t, take(all, 2))
}
