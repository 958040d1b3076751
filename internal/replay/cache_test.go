// SPDX-License-Identifier: Apache-2.0

package replay_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/synthetic"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/model/request"
)

// requests are some that CRS flags and some that it does not.
func requests() []*traffic.Request {
	return append(slices.Collect(synthetic.Benign(12, 1)), slices.Collect(synthetic.Attacks(6, 1))...)
}

func open(t *testing.T, dir string) *replay.Cache {
	t.Helper()
	c, err := replay.OpenCache(dir)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func recordings(t *testing.T, c *replay.Cache, rows []*traffic.Request) (list []replay.Recording) {
	t.Helper()
	for rec := range c.Recordings(t.Context(), slices.Values(rows), 2) {
		require.NoError(t, rec.Err)
		assert.Same(t, rows[len(list)], rec.Request, "in order")
		list = append(list, rec.Recording)
	}
	require.Len(t, list, len(rows))
	return list
}

// mark replaces every stored recording by one that no replay yields, and tells how many there were.
func mark(t *testing.T, dir string) (n int) {
	t.Helper()
	var marked bytes.Buffer
	require.NoError(t, gob.NewEncoder(&marked).Encode(replay.Recording{View: request.View{Hour: -1}}))
	db, err := bbolt.Open(filepath.Join(dir, "views.db"), 0o600, &bbolt.Options{Timeout: time.Second})
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(_ []byte, bucket *bbolt.Bucket) error {
			var keys [][]byte
			if err := bucket.ForEach(func(k, _ []byte) error { keys = append(keys, bytes.Clone(k)); return nil }); err != nil {
				return err
			}
			for _, k := range keys {
				n++
				if err := bucket.Put(k, marked.Bytes()); err != nil {
					return err
				}
			}
			return nil
		})
	}))
	return n
}

func isMarked(r replay.Recording) bool { return r.View.Hour == -1 }

func TestCacheReturnsWhatAReplayYields(t *testing.T) {
	rows, dir := requests(), t.TempDir()
	replayer, err := replay.New()
	require.NoError(t, err)
	var want []replay.Recording
	for _, row := range rows {
		rec, err := replayer.Replay(row)
		require.NoError(t, err)
		want = append(want, rec)
	}

	c := open(t, dir)
	assert.Equal(t, want, recordings(t, c, rows), "replayed")
	assert.Equal(t, want, recordings(t, c, rows), "from the cache")
	require.NoError(t, c.Close())
	c = open(t, dir)
	assert.Equal(t, want, recordings(t, c, rows), "from the cache, opened again")
	require.NoError(t, c.Close())

	assert.Equal(t, len(rows), mark(t, dir))
	for _, rec := range recordings(t, open(t, dir), rows) {
		assert.True(t, isMarked(rec), "the recordings before came from the cache indeed")
	}
}

// The key is what a row says on the wire: its labels do not matter, one more header does.
func TestCacheKey(t *testing.T) {
	dir := t.TempDir()
	row := requests()[0]
	c := open(t, dir)
	recordings(t, c, []*traffic.Request{row})
	require.NoError(t, c.Close())
	mark(t, dir)

	relabelled, changed := *row, *row
	relabelled.Set, relabelled.Label, relabelled.Src = "other", traffic.Attack, "elsewhere"
	changed.Headers = append(slices.Clone(row.Headers), [2]string{"X-More", "1"})
	got := recordings(t, open(t, dir), []*traffic.Request{&relabelled, &changed})
	assert.True(t, isMarked(got[0]))
	assert.False(t, isMarked(got[1]))
}

// A run that ends early, by its consumer or by its context, loses nothing that it has yielded.
func TestCacheResumes(t *testing.T) {
	const yielded = 5
	interruptions := map[string]func(*replay.Cache, []*traffic.Request){
		"consumer": func(c *replay.Cache, rows []*traffic.Request) {
			n := 0
			for range c.Recordings(t.Context(), slices.Values(rows), 2) {
				if n++; n == yielded {
					break
				}
			}
		},
		"context": func(c *replay.Cache, rows []*traffic.Request) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			n := 0
			for range c.Recordings(ctx, slices.Values(rows), 2) {
				if n++; n == yielded {
					cancel()
				}
			}
		},
	}
	rows := requests()
	want := recordings(t, open(t, t.TempDir()), rows)
	for name, interrupted := range interruptions {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c := open(t, dir)
			interrupted(c, rows)
			require.NoError(t, c.Close())
			stored := mark(t, dir)
			assert.GreaterOrEqual(t, stored, yielded)
			assert.Less(t, stored, len(rows))
			for i, rec := range recordings(t, open(t, dir), rows) {
				if i < stored {
					assert.True(t, isMarked(rec), "row %d was not replayed again", i)
				} else {
					assert.Equal(t, want[i], rec)
				}
			}
		})
	}
}

// A bare payload has no recording and comes through in its place.
func TestCachePassesPayloadsThrough(t *testing.T) {
	payload := &traffic.Request{Label: traffic.Attack, Payload: "1' or '1'='1"}
	got := recordings(t, open(t, t.TempDir()), []*traffic.Request{requests()[0], payload, requests()[1]})
	assert.NotZero(t, got[0])
	assert.Zero(t, got[1])
	assert.NotZero(t, got[2])
}

func TestCacheErrors(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	_, err := replay.OpenCache(dir)
	assert.ErrorContains(t, err, "another run")
	_, err = replay.OpenCache(filepath.Join(dir, "views.db"))
	assert.ErrorContains(t, err, "replay: cache: ")
}

// A file that is no cache, was cut off or was overwritten is an error that says what to do, and no crash.
func TestDamagedCacheIsAnError(t *testing.T) {
	rows := slices.Collect(synthetic.Benign(300, 1))
	whole := t.TempDir()
	c := open(t, whole)
	recordings(t, c, rows)
	require.NoError(t, c.Close())
	file, err := os.ReadFile(filepath.Join(whole, "views.db"))
	require.NoError(t, err)

	overwritten := bytes.Clone(file)
	for i := 4 * os.Getpagesize(); i < len(overwritten); i++ {
		overwritten[i] = 0xff
	}
	for what, damaged := range map[string][]byte{
		"garbage": []byte("garbage"), "cut off": file[:len(file)/2], "overwritten": overwritten,
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "views.db"), damaged, 0o600))
		c, err := replay.OpenCache(dir)
		if err == nil { // what is damaged is found out later
			for rec := range c.Recordings(t.Context(), slices.Values(rows), 2) {
				if err = rec.Err; err != nil {
					break
				}
			}
		}
		assert.ErrorContains(t, err, "delete it: all is replayed again", what)
	}
}
