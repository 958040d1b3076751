// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/model/request"
)

// cacheFormat changes whenever a view's fields, or what they mean, do.
const cacheFormat = "views/2"

// Cache keeps recordings on disk. Its key is the request, and what decides how it is replayed: the versions of Coraza and CRS,
// the directives and rule files of the WAF, and the format of a view. An interrupted run loses at most its last batch.
type Cache struct {
	db       *bbolt.DB
	replayer *Replayer
	bucket   []byte
}

// OpenCache opens, and makes where there is none, the cache in a directory; an empty dir means the user's cache folder.
func OpenCache(dir string) (*Cache, error) {
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("replay: cache: %w (name a folder with --cache)", err)
		}
		dir = filepath.Join(base, "mlverdict")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("replay: cache: %w", err)
	}
	path := filepath.Join(dir, "views.db")
	var db *bbolt.DB
	err := undamaged(path, func() (err error) {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
		return err
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("replay: cache %s: another run is using it (wait for it, or name another folder with --cache)", path)
	case err != nil:
		return nil, err
	}
	c := &Cache{db: db}
	if err := c.follow(waf.Config{Paranoia: request.ParanoiaLevels}); err != nil {
		db.Close()
		return nil, err
	}
	return c, nil
}

// WithRules returns the same cache for a CRS that is followed by directives, such as exclusions of rules. Its
// recordings stand apart. Closing c closes it, too.
func (c *Cache) WithRules(directives string) (*Cache, error) {
	d := &Cache{db: c.db}
	return d, d.follow(waf.Config{Paranoia: request.ParanoiaLevels, AfterCRS: directives})
}

// undamaged calls f, which reads or writes the cache's file. Where that is no database bbolt returns an error, and where it was cut
// off or overwritten it panics or touches memory that is not there.
func undamaged(path string, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
		if err != nil {
			err = fmt.Errorf("replay: cache %s: %w (if it is damaged, delete it: all is replayed again)", path, err)
		}
	}()
	return f()
}

// follow makes the cache that of a WAF.
func (c *Cache) follow(config waf.Config) (err error) {
	if c.replayer, err = newReplayer(config); err != nil {
		return err
	}
	digest, err := config.Digest()
	if err != nil {
		return err
	}
	c.bucket = fmt.Appendf(nil, "%s %s %x", cacheFormat, strings.Join(Modules(), " "), digest)
	return c.update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(c.bucket)
		return err
	})
}

func (c *Cache) update(f func(*bbolt.Tx) error) error {
	return undamaged(c.db.Path(), func() error { return c.db.Update(f) })
}

// Close closes the cache.
func (c *Cache) Close() error { return c.db.Close() }

// Modules names the modules, as path@version, that decide what a replay yields.
func Modules() (list []string) {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			switch m.Path {
			case "github.com/corazawaf/coraza/v3", "github.com/corazawaf/coraza-coreruleset/v4":
				list = append(list, m.Path+"@"+m.Version)
			}
		}
	}
	return list
}

// Recorded is a request with its recording, or why there is none.
type Recorded struct {
	Request *traffic.Request
	Recording
	Err error
}

// batch is how many new recordings are written at a time.
const batch = 256

// Recordings yields a recording for each request, in order, from the cache where it is known and by replaying
// elsewhere, on workers goroutines (0 = one a core). A bare payload has an empty recording. An error without a request is
// the cache's own: what could not be stored is replayed again next time.
func (c *Cache) Recordings(ctx context.Context, in iter.Seq[*traffic.Request], workers int) iter.Seq[Recorded] {
	type result struct {
		Recorded
		key   [sha256.Size]byte
		fresh bool
	}
	recall := func(r *traffic.Request) result {
		if r.IsPayload() {
			return result{Recorded: Recorded{Request: r}}
		}
		key := r.Digest()
		rec, ok, err := c.load(key)
		if !ok && err == nil {
			rec, err = c.replayer.Replay(r)
		}
		return result{Recorded{r, rec, err}, key, !ok && err == nil}
	}
	return func(yield func(Recorded) bool) {
		pending := map[[sha256.Size]byte]*Recording{}
		for res := range Parallel(ctx, in, workers, recall) {
			if res.fresh {
				rec := res.Recording
				pending[res.key] = &rec
			}
			if !yield(res.Recorded) {
				c.store(pending) // nobody is left to hear of an error; what is lost is replayed again
				return
			}
			if len(pending) >= batch {
				if err := c.store(pending); err != nil && !yield(Recorded{Err: err}) {
					return
				}
				clear(pending)
			}
		}
		if err := c.store(pending); err != nil {
			yield(Recorded{Err: err})
		}
	}
}

func (c *Cache) load(key [sha256.Size]byte) (rec Recording, ok bool, err error) {
	err = undamaged(c.db.Path(), func() error {
		return c.db.View(func(tx *bbolt.Tx) error {
			stored := tx.Bucket(c.bucket).Get(key[:])
			if stored == nil {
				return nil
			}
			ok = true
			return gob.NewDecoder(bytes.NewReader(stored)).Decode(&rec)
		})
	})
	return rec, ok, err
}

func (c *Cache) store(recs map[[sha256.Size]byte]*Recording) error {
	return c.update(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(c.bucket)
		for key, rec := range recs {
			var b bytes.Buffer
			if err := gob.NewEncoder(&b).Encode(rec); err != nil {
				return err
			}
			if err := bucket.Put(key[:], b.Bytes()); err != nil {
				return err
			}
		}
		return nil
	})
}
