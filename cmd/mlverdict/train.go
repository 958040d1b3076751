// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/google/renameio/v2"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/training"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/features"
)

type trainOptions struct {
	tune   []string
	output string
	schema string
	cache  string
	params training.Params
}

func newTrainCommand() *cobra.Command {
	o := trainOptions{params: training.Defaults()}
	cmd := &cobra.Command{
		Use:   "train FILE...",
		Short: "train a model on requests",
		Long: `Train replays requests through CRS and makes a model of them. Rows labelled benign teach what normal traffic looks
like; rows labelled attack, requests or bare payloads, teach what attacks look like.

The score is calibrated on the benign rows of --tune. Where they name a site, an app or a kind, only half of those (by a
hash of the name) is used: the other half is left for "evaluate --half test". Without --tune, a fifth of the benign rows calibrates
instead of training.

CRS's own word lists, put into the shortest texts that mean harm, are attack text too. Payloads drawn by --seed are
put into requests of the benign rows and replayed: with the attack requests they weigh the forest's leaves.

Beside the model FILE.model stand FILE.manifest.gz, the digest of every row that was used, and FILE.md, the model card.`,
		Example: `  mlverdict train --tune tune.jsonl.gz -o site.model normal.jsonl.gz payloads.jsonl.gz`,
		Args:    someFiles,
		RunE: func(cmd *cobra.Command, files []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), files)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.tune, "tune", nil, "`FILE` of benign requests to calibrate the score on (repeatable)")
	f.StringVarP(&o.output, "output", "o", "", "model `FILE` to write (required), such as site.model")
	o.schema = o.params.Schema.Name
	f.Var(&choice{&o.schema, schemaNames()}, "schema", "feature `SCHEMA`: "+strings.Join(schemaNames(), ", "))
	f.IntVar(&o.params.Forest.Trees, "trees", o.params.Forest.Trees, "trees of the forest")
	f.IntVar(&o.params.Forest.Subsample, "subsample", o.params.Forest.Subsample, "subsample of a tree, ψ")
	f.Uint64Var(&o.params.Seed, "seed", o.params.Seed, "seed of every random choice")
	cacheFlag(cmd, &o.cache)
	cmd.MarkFlagRequired("output")
	return cmd
}

func schemaNames() (names []string) {
	for _, s := range features.Schemas() {
		names = append(names, s.Name)
	}
	return names
}

// cacheFlag declares --cache.
func cacheFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "cache", "", "`DIR` of the replay cache (default: mlverdict in the user's cache folder)")
}

// someFiles is the argument check of the commands that read request files.
func someFiles(_ *cobra.Command, files []string) error {
	if len(files) == 0 {
		return errors.New("no request file given (want files of JSON lines, see docs/requests.md; - is standard input)")
	}
	return nil
}

func (o *trainOptions) run(ctx context.Context, stdout, stderr io.Writer, files []string) error {
	o.params.Schema, _ = features.ByName(o.schema) // the flag takes known names only
	cache, err := replay.OpenCache(o.cache)
	if err != nil {
		return err
	}
	defer cache.Close()
	corpus, err := o.corpus(ctx, cache, stderr, files)
	if err != nil {
		return err
	}
	m, err := training.Train(corpus, o.params)
	if err != nil {
		return err
	}
	if err := writeModel(o.output, m, corpus); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s: model %s, %d bytes, trained on %d normal requests and %d attack texts, calibrated on %d requests\n",
		o.output, m.ID(), len(m.Bytes()), len(corpus.Normal), len(corpus.Attacks), len(corpus.Tuning))
	return nil
}

// embedded is how many bare payloads are put into requests.
const embedded = 4000

// corpus gathers what the model is trained on.
func (o *trainOptions) corpus(ctx context.Context, cache *replay.Cache, stderr io.Writer, files []string) (*training.Corpus, error) {
	var c training.Corpus
	var payloads, envelopes []*traffic.Request
	calibrate := len(o.tune) == 0
	err := eachRecording(ctx, cache, stderr, "replaying", files, func(rec *replay.Recorded) {
		switch {
		case !training.TrainsOn(rec.Request):
		case rec.Request.IsPayload():
			c.AddAttack(rec)
			payloads = append(payloads, rec.Request)
		case rec.Request.Label == traffic.Attack:
			c.AddAttack(rec)
		case calibrate && training.HeldOut(rec.Request):
			c.AddTuning(rec)
		default:
			c.AddNormal(rec)
			envelopes = append(envelopes, rec.Request)
		}
	})
	if err != nil {
		return nil, err
	}
	if !calibrate {
		err = eachRecording(ctx, cache, stderr, "tuning", o.tune, func(rec *replay.Recorded) {
			if rec.Request.Label == traffic.Benign && (rec.Request.Site == "" || training.HalfOf(rec.Request) == training.Tune) {
				c.AddTuning(rec)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	if len(c.Attacks) == 0 && o.params.Schema == features.Verdict {
		return nil, errors.New("train: no attacks: name files with rows labelled attack, such as lists of payloads")
	}
	fmt.Fprintf(stderr, "putting %d payloads into requests\n", min(embedded, len(payloads)))
	if err := c.Embed(ctx, cache, payloads, envelopes, embedded, rand.New(rand.NewPCG(o.params.Seed, 1))); err != nil {
		return nil, err
	}
	return &c, c.AddLexicon(coreruleset.FS)
}

// writeModel writes the model, its manifest and its card, each whole or not at all.
func writeModel(path string, m *model.Model, corpus *training.Corpus) error {
	stem := strings.TrimSuffix(path, ".model")
	var manifest bytes.Buffer
	z := gzip.NewWriter(&manifest)
	for _, row := range corpus.Manifest() {
		fmt.Fprintln(z, row)
	}
	if err := z.Close(); err != nil {
		return err
	}
	const mode = 0o644
	return errors.Join(
		renameio.WriteFile(path, m.Bytes(), mode),
		renameio.WriteFile(stem+".manifest.gz", manifest.Bytes(), mode),
		renameio.WriteFile(stem+".md", training.Card(m, corpus), mode),
	)
}

// eachRecording replays the rows of request files, or finds them in the cache, and hands each to f in order. Rows that
// cannot be used are named on stderr and, after all others were handed over, make an error. Bare payloads are handed
// over as they are.
func eachRecording(ctx context.Context, cache *replay.Cache, stderr io.Writer, what string, files []string,
	f func(*replay.Recorded)) error {
	reader, err := traffic.Open(files...)
	if err != nil {
		return err
	}
	defer reader.Close()
	rows := newRows(reader, stderr, what)
	defer rows.finish()
	for rec := range cache.Recordings(ctx, rows.all(), 0) {
		rows.advance()
		if rec.Err != nil {
			rows.fail(rec.Err)
			continue
		}
		f(&rec)
	}
	return errors.Join(ctx.Err(), rows.err())
}

// rows reads request files with a progress bar and counts what could not be used.
type rows struct {
	reader *traffic.Reader
	stderr io.Writer
	bar    *progressbar.ProgressBar
	failed atomic.Int64 // rows are read and replayed on different goroutines
}

func newRows(r *traffic.Reader, stderr io.Writer, what string) *rows {
	bar := progressbar.NewOptions64(r.Size(),
		progressbar.OptionSetWriter(stderr), progressbar.OptionSetDescription(what), progressbar.OptionShowBytes(true),
		progressbar.OptionShowCount(), progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish())
	return &rows{reader: r, stderr: stderr, bar: bar}
}

func (r *rows) all() iter.Seq[*traffic.Request] {
	return func(yield func(*traffic.Request) bool) {
		for row, err := range r.reader.Requests() {
			if err != nil {
				r.fail(err)
				continue
			}
			if !yield(row) {
				return
			}
		}
	}
}

func (r *rows) advance() { r.bar.Set64(r.reader.Offset()) }
func (r *rows) finish()  { r.bar.Finish() }

func (r *rows) fail(err error) {
	r.failed.Add(1)
	fmt.Fprintf(r.stderr, "mlverdict: %v\n", err)
}

func (r *rows) err() error {
	if r.failed.Load() == 0 {
		return nil
	}
	return fmt.Errorf("%d rows could not be used; they are named above", r.failed.Load())
}
