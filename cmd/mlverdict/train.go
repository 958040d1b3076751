// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/training"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/features"
	"github.com/mlverdict/mlverdict/model/request"
)

type trainOptions struct {
	base   string
	tune   []string
	output string
	files  [3]string // to write: the model, its manifest and its card
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

The score is calibrated on the benign rows that train, each judged by what rows of other sites teach, and on those of --tune,
which train nothing. Where the latter name a site, an app or a kind, only half of those (by a hash of the name) is used: the
other half is left for "evaluate --half test". Of a set named benign-hard about half of the rows train, by a hash of the file
they were taken from, and the others are left for tests. Without --tune, a fifth of the benign rows calibrates and trains
nothing, so that rows of a single site make a model, too.

A bare payload that cannot be told from normal text is left out: lists hold headings, single words and single marks, too. CRS's own
word lists, put into the shortest texts that mean harm, are attack text as well. --augment, the default, makes up
more: payloads of grammars of our own are attack text, and so is each attack eight times more after mutations that keep what it
does; a little noise, of data formats and of the languages that attacks speak, is normal text, and what CRS's rules match
of data formats is no surprise; and payloads drawn by --seed are put into requests of the benign rows and replayed: with
the attack requests they weigh the forest's leaves against noise and benign rows, both once more within normal text. With
--augment=false rows and word lists alone train, and rows alone weigh.

With --base a model is adapted to one site within seconds: FILE is then the site's own traffic, mostly normal, whose rows
need no label, or summaries of it (see summarize). What is usual on the site is no evidence there any more.

Beside the model FILE.model stand FILE.manifest.gz, the digest of every row that was used, and FILE.md, the model card.
Where FILE.model is a symbolic link, what it leads to is written, and the others beside that.`,
		Example: `  mlverdict train --tune tune.jsonl.gz -o site.model normal.jsonl.gz payloads.jsonl.gz
  mlverdict train --base default -o site.model june.jsonl.gz`,
		Args: someFiles,
		RunE: func(cmd *cobra.Command, files []string) error {
			if o.base == "" {
				return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), files)
			}
			if err := aloneWithBase(cmd.Flags()); err != nil {
				return err
			}
			return o.adapt(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), files)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.base, "base", "", "`MODEL` to adapt to a site: a file of one that was not adapted yet, or default for the embedded one")
	f.StringArrayVar(&o.tune, "tune", nil, "`FILE` of benign requests to calibrate the score on (repeatable)")
	f.StringVarP(&o.output, "output", "o", "", "model `FILE` to write (required), such as site.model")
	o.schema = o.params.Schema.Name
	f.Var(&choice{&o.schema, schemaNames()}, "schema", "feature `SCHEMA`: "+strings.Join(schemaNames(), ", "))
	f.Var(&bounded{&o.params.Forest.Trees, 1, 4096}, "trees", "`NUMBER` of trees of the forest, 1 to 4096")
	f.Var(&bounded{&o.params.Forest.Subsample, 2, 1 << 16}, "subsample", "`NUMBER` of normal requests that a tree is grown from, ψ, 2 to 65536")
	f.Uint64Var(&o.params.Seed, "seed", o.params.Seed, "seed of every random choice")
	f.BoolVar(&o.params.Augment, "augment", o.params.Augment, "train on made-up texts, too; =false shows what they are worth")
	cacheFlag(cmd, &o.cache)
	return cmd
}

func schemaNames() (names []string) {
	for _, s := range features.Schemas() {
		names = append(names, s.Name)
	}
	return names
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
	if err := o.checkOutput(files); err != nil {
		return err
	}
	cache, err := replay.OpenCache(o.cache)
	if err != nil {
		return err
	}
	defer cache.Close()
	corpus, err := o.corpus(ctx, cache, stderr, files)
	var skipped skippedRows
	if err != nil && !errors.As(err, &skipped) {
		return err
	}
	warnOfFew(stderr, corpus)
	m, err := training.Train(corpus, o.params)
	if err != nil {
		return err
	}
	if err := writeModel(o.files, m, corpus.Manifest(), training.Card(m, corpus, o.params)); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s: model %s, %d bytes, trained on %d normal requests and %d attack texts, calibrated on the former and %d more\n",
		o.output, m.ID(), len(m.Bytes()), len(corpus.Normal), len(corpus.Attacks), len(corpus.Tuning))
	if skipped > 0 {
		return skipped
	}
	return nil
}

func (o *trainOptions) checkOutput(files []string) error {
	if o.output == "" {
		return usagef("no model file to write (want --output FILE, such as -o site.model)")
	}
	inputs := slices.Concat(files, o.tune, []string{o.base})
	if err := checkOutput("--output", &o.output, inputs...); err != nil {
		return err
	}
	stem := strings.TrimSuffix(o.output, ".model")
	o.files = [3]string{o.output, stem + ".manifest.gz", stem + ".md"}
	for i := range o.files {
		if err := checkOutput("--output", &o.files[i], inputs...); err != nil {
			return err
		}
	}
	return checkDistinct(output{"--output", o.files[0]}, output{"its manifest", o.files[1]}, output{"its card", o.files[2]})
}

// few is the number of false positives below which a calibration says little: its 5 % are fewer than five requests.
const few = 100

func warnOfFew(stderr io.Writer, c *training.Corpus) {
	for pl := 1; pl <= request.ParanoiaLevels; pl++ {
		if n := c.Flagged(pl); n < few {
			fmt.Fprintf(stderr, "mlverdict: at paranoia level %d CRS flags only %d of the %d normal requests to calibrate on: "+
				"the score is rough there (name more, of other sites)\n", pl, n, len(c.Normal)+len(c.Tuning))
		}
	}
}

// corpus gathers what the model is trained on. Rows that could not be used are a skippedRows beside it.
func (o *trainOptions) corpus(ctx context.Context, cache *replay.Cache, stderr io.Writer, files []string) (*training.Corpus, error) {
	var c training.Corpus
	var envelopes []*traffic.Request
	calibrate := len(o.tune) == 0
	var skipped skippedRows
	err := eachRecording(ctx, cache, stderr, "replaying", files, func(rec *replay.Recorded) {
		switch {
		case !training.TrainsOn(rec.Request):
		case rec.Request.Label == traffic.Attack:
			c.AddAttack(rec)
		case calibrate && training.HeldOut(rec.Request):
			c.AddTuning(rec)
		default:
			c.AddNormal(rec)
			envelopes = append(envelopes, rec.Request)
		}
	})
	if err != nil && !errors.As(err, &skipped) {
		return nil, err
	}
	if !calibrate {
		err = eachRecording(ctx, cache, stderr, "tuning", o.tune, func(rec *replay.Recorded) {
			if rec.Request.Label == traffic.Benign && training.HalfOf(rec.Request) == training.Tune {
				c.AddTuning(rec)
			}
		})
		var more skippedRows
		if err != nil && !errors.As(err, &more) {
			return nil, err
		}
		skipped += more
		if len(c.Tuning) == 0 {
			return nil, errors.New("train: --tune: no benign row to calibrate on (of rows that name a site, an app or a kind one half is left for tests)")
		}
	}
	if len(c.Attacks) == 0 && o.params.Schema == features.Verdict {
		return nil, errors.New("train: no attacks: name files with rows labelled attack, such as lists of payloads")
	}
	if o.params.Schema == features.Verdict { // the other schema learns from no attack
		if err := o.complete(ctx, &c, cache, stderr, envelopes); err != nil {
			return nil, err
		}
	}
	if skipped > 0 {
		return &c, skipped
	}
	return &c, nil
}

// complete adds to what the rows say what is known of attacks beside them and what is made up, and leaves out payloads that teach nothing.
func (o *trainOptions) complete(ctx context.Context, c *training.Corpus, cache *replay.Cache, stderr io.Writer, envelopes []*traffic.Request) error {
	if err := c.AddLexicon(coreruleset.FS); err != nil {
		return err
	}
	if o.params.Augment {
		c.AddGrammars(o.params.Seed)
	}
	left, err := c.LeaveOutIndistinct(o.params)
	if err != nil {
		return err
	}
	if left > 0 {
		fmt.Fprintf(stderr, "left out %d payloads that cannot be told from normal text\n", left)
	}
	if !o.params.Augment {
		return nil
	}
	fmt.Fprintln(stderr, "putting payloads and noise into requests")
	return c.AddMadeUp(ctx, cache, envelopes, o.params.Seed)
}

// writeModel writes the model, its manifest and its card: all of them, or none where one cannot be written.
func writeModel(files [3]string, m *model.Model, rows []string, card []byte) error {
	var manifest bytes.Buffer
	z := gzip.NewWriter(&manifest)
	for _, row := range rows {
		fmt.Fprintln(z, row)
	}
	if err := z.Close(); err != nil {
		return err
	}
	contents := [][]byte{m.Bytes(), manifest.Bytes(), card}
	var pending []*renameio.PendingFile
	for i, path := range files {
		file, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644), renameio.WithExistingPermissions())
		if err != nil {
			return err
		}
		defer file.Cleanup()
		if _, err := file.Write(contents[i]); err != nil {
			return err
		}
		pending = append(pending, file)
	}
	for _, file := range pending {
		if err := file.CloseAtomicallyReplace(); err != nil {
			return err
		}
	}
	return nil
}
