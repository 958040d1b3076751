// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/training"
)

type gradeOptions struct {
	most   int
	keep   string
	format string
	cache  string
	params training.Params
}

func newGradeCommand() *cobra.Command {
	o := gradeOptions{params: training.Defaults()}
	cmd := &cobra.Command{
		Use:   "grade FILE...",
		Short: "grade the rows to train on, and list labels that look wrong",
		Long: `Grade tells how well the label of each row goes with its text, by what the rows of other groups teach: other sites, and
other payloads. Its measure is the payload evidence of an attack, in nats, of the text that has most of it: the stretch of a value, or
an attack's payload. A normal row agrees with its label below 1 nat and contradicts it from 8 on; an attack agrees from 8 nats on
and contradicts its label below 1. An attack whose text is not known (no payload, and no rule matched a value) is graded unknown.

What contradicts its label is labelled wrong, or like nothing else in the files: the list is for a person to look at. --keep
writes the rows without it, to train on and see what leaving it out does; "train" by itself leaves out only the payloads that cannot be
told from normal text by what learned from them, too. Rows that "train" leaves for tests are not graded.`,
		Example: `  mlverdict grade normal.jsonl.gz payloads.jsonl.gz
  mlverdict grade --keep kept.jsonl.gz normal.jsonl.gz payloads.jsonl.gz && mlverdict train -o site.model kept.jsonl.gz`,
		Args: someFiles,
		RunE: func(cmd *cobra.Command, files []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), files)
		},
	}
	f := cmd.Flags()
	o.most = 10
	f.Var(&bounded{&o.most, 0, 1_000_000}, "most", "`NUMBER` of suspicious rows of each label to list (0 = all)")
	f.StringVar(&o.keep, "keep", "", "`FILE` to write the rows to that do not contradict their labels, gzipped where its name ends in .gz")
	f.Uint64Var(&o.params.Seed, "seed", o.params.Seed, "seed of every random choice")
	formatFlag(cmd, &o.format)
	cacheFlag(cmd, &o.cache)
	return cmd
}

func (o *gradeOptions) run(ctx context.Context, stdout, stderr io.Writer, files []string) error {
	if err := checkOutput("--keep", &o.keep, files...); err != nil {
		return err
	}
	cache, err := replay.OpenCache(o.cache)
	if err != nil {
		return err
	}
	defer cache.Close()
	var corpus training.Corpus
	var rows []*traffic.Request
	readErr := eachRecording(ctx, cache, stderr, "replaying", files, func(rec *replay.Recorded) {
		rows = append(rows, rec.Request)
		switch {
		case !training.TrainsOn(rec.Request):
		case rec.Request.Label == traffic.Attack:
			corpus.AddAttack(rec)
		default:
			corpus.AddNormal(rec)
		}
	})
	if readErr != nil && !errors.As(readErr, new(skippedRows)) {
		return readErr
	}
	if len(corpus.Normal) == 0 || len(corpus.Attacks) == 0 {
		return errors.Join(readErr, errors.New("grade: want rows of both labels, benign and attack: each is graded by the others"))
	}
	if err := corpus.AddLexicon(coreruleset.FS); err != nil {
		return err
	}
	corpus.AddGrammars(o.params.Seed)
	graded, err := corpus.Grade(o.params)
	if err != nil {
		return err
	}
	if err := o.write(rows, graded); err != nil {
		return err
	}
	r := newGrades(graded, o.most)
	if o.format == "json" {
		e := json.NewEncoder(stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return errors.Join(e.Encode(r), readErr)
	}
	return errors.Join(r.table(stdout), readErr)
}

// write writes the rows that do not contradict their labels, in their order.
func (o *gradeOptions) write(rows []*traffic.Request, graded []training.Graded) error {
	if o.keep == "" {
		return nil
	}
	leave := map[*traffic.Request]bool{}
	for _, g := range graded {
		leave[g.Row] = g.Grade == training.Contradicts
	}
	out, err := traffic.Create(o.keep)
	if err != nil {
		return err
	}
	defer out.Discard()
	for _, row := range rows {
		if !leave[row] {
			if err := out.Write(row); err != nil {
				return err
			}
		}
	}
	return out.Close()
}

// grades is the contract of grade --format json.
type grades struct {
	Sets       []gradedSet     `json:"sets"`
	Suspicious []suspiciousRow `json:"suspicious"` // normal rows with the most evidence first, then attacks with the least
}

type gradedSet struct {
	Set         string `json:"set"`
	Label       string `json:"label"`
	Rows        int    `json:"rows"`
	Agrees      int    `json:"agrees"`
	Doubtful    int    `json:"doubtful"`
	Contradicts int    `json:"contradicts"`
	Unknown     int    `json:"unknown"`
}

type suspiciousRow struct {
	Set      string  `json:"set"`
	Label    string  `json:"label"`
	Class    string  `json:"class"`
	Source   string  `json:"source"`
	File     string  `json:"file"`
	Line     int     `json:"line"`
	Evidence float64 `json:"evidence_nats"`
	Text     string  `json:"text"`
}

// newGrades counts by set and label, and takes up to most suspicious rows of each label (0: all).
func newGrades(graded []training.Graded, most int) *grades {
	r := &grades{Sets: []gradedSet{}, Suspicious: []suspiciousRow{}}
	at := map[[2]string]int{}
	var normal, attacks []training.Graded
	for _, g := range graded {
		key := [2]string{g.Row.Set, g.Row.Label}
		if _, known := at[key]; !known {
			at[key] = len(r.Sets)
			r.Sets = append(r.Sets, gradedSet{Set: g.Row.Set, Label: g.Row.Label})
		}
		s := &r.Sets[at[key]]
		s.Rows++
		*[]*int{&s.Agrees, &s.Doubtful, &s.Contradicts, &s.Unknown}[g.Grade]++
		switch {
		case g.Grade != training.Contradicts:
		case g.Row.Label == traffic.Attack:
			attacks = append(attacks, g)
		default:
			normal = append(normal, g)
		}
	}
	slices.SortStableFunc(normal, func(a, b training.Graded) int { return cmp.Compare(b.Evidence, a.Evidence) })
	slices.SortStableFunc(attacks, func(a, b training.Graded) int { return cmp.Compare(a.Evidence, b.Evidence) })
	for _, list := range [][]training.Graded{normal, attacks} {
		if most > 0 {
			list = list[:min(most, len(list))]
		}
		for _, g := range list {
			r.Suspicious = append(r.Suspicious, suspiciousRow{
				g.Row.Set, g.Row.Label, g.Row.Class, g.Row.Src, g.Row.File, g.Row.Line, g.Evidence, g.Text,
			})
		}
	}
	return r
}

func (r *grades) table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "set\tlabel\trows\tagrees\tdoubtful\tcontradicts\tunknown\t")
	contradicting := 0
	for _, s := range r.Sets {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t\n", printable(s.Set), s.Label, s.Rows, s.Agrees, s.Doubtful, s.Contradicts, s.Unknown)
		contradicting += s.Contradicts
	}
	if err := t.Flush(); err != nil || contradicting == 0 {
		return err
	}
	fmt.Fprintf(w, "\n%d rows contradict their labels; of each label those that do most:\n\n", contradicting)
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "label\tclass\tnats\trow\ttext")
	for _, s := range r.Suspicious {
		fmt.Fprintf(t, "%s\t%s\t%.1f\t%s:%d\t%+.80q\n", s.Label, cmp.Or(printable(s.Class), "-"), s.Evidence, printable(s.File), s.Line, s.Text)
	}
	return t.Flush()
}
