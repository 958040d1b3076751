// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/augment"
	"github.com/mlverdict/mlverdict/internal/traffic"
)

type augmentOptions struct {
	list   bool
	kind   string
	count  int
	seed   uint64
	order  int
	unit   string
	files  []string
	output string
}

func newAugmentCommand() *cobra.Command {
	var o augmentOptions
	cmd := &cobra.Command{
		Use:   "augment",
		Short: "make rows to train and to test on",
		Long: `Augment makes labelled rows: noise of rising difficulty, text of Markov chains, changed normal text, payloads in
normal text. Texts are put at random places of the normal requests of --from, or of a plain one; the rows of
markov-attack are bare payloads. The same options and files give the same rows.

` + kindTable(),
		Example: `  mlverdict augment --kind noise-sql --count 1000 -o noise.jsonl.gz
  mlverdict augment --kind context-wrap --count 500 --from may.jsonl.gz --from payloads.jsonl.gz -o wrapped.jsonl.gz`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.list, "list", false, "print the kinds, and make nothing")
	f.Var(&choice{&o.kind, kindNames()}, "kind", "`KIND` of rows to make (required)")
	o.count = 1000
	f.Var(&bounded{&o.count, 1, 100_000_000}, "count", "`NUMBER` of rows to make")
	f.Uint64Var(&o.seed, "seed", 1, "seed of every random choice")
	f.IntVar(&o.order, "order", 0, "`ORDER` of the Markov chain, 1 to 6 (default: the usual one of the kind)")
	f.Var(&choice{&o.unit, []string{string(augment.Characters), string(augment.Tokens)}}, "unit",
		"`UNIT` that the Markov chain goes by: characters (the usual one) or tokens; markov-negative goes by characters")
	f.StringArrayVar(&o.files, "from", nil, "`FILE` of normal requests or payloads to make rows from (repeatable)")
	f.StringVarP(&o.output, "output", "o", "", "`FILE` to write, gzipped where its name ends in .gz (default: standard output)")
	return cmd
}

func kindNames() (names []string) {
	for _, k := range augment.Kinds() {
		names = append(names, k.Name)
	}
	return names
}

// kindTable describes the kinds.
func kindTable() string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "kind\tlabel\tmade from\torder\twhat it is")
	for _, k := range augment.Kinds() {
		from, order := "nothing", ""
		switch {
		case k.NeedsNormal && k.NeedsAttacks:
			from = "requests and payloads"
		case k.NeedsNormal:
			from = "requests"
		case k.NeedsAttacks:
			from = "payloads"
		}
		if k.Most > 0 {
			order = fmt.Sprintf("%d-%d (%d)", k.Least, k.Most, k.Order)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", k.Name, k.Label, from, order, k.Doc)
	}
	t.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}

func (o *augmentOptions) run(ctx context.Context, stdout, stderr io.Writer) error {
	if o.list {
		_, err := fmt.Fprintln(stdout, kindTable())
		return err
	}
	kinds := augment.Kinds()
	i := slices.IndexFunc(kinds, func(k augment.Kind) bool { return k.Name == o.kind })
	if i < 0 {
		return usagef("augment: no kind given (want --kind KIND; mlverdict augment --list names them)")
	}
	kind := &kinds[i]
	if len(o.files) == 0 && (kind.NeedsNormal || kind.NeedsAttacks) {
		return usagef("augment: %s is made from other rows (want --from FILE; mlverdict augment --list says which)", kind.Name)
	}
	options := augment.Options{Order: o.order, Unit: augment.Unit(o.unit)}
	if err := kind.Check(options); err != nil {
		return usageError{err}
	}
	if err := checkOutput("--output", &o.output, o.files...); err != nil {
		return err
	}
	sources, skipped, err := o.sources(stderr)
	if err != nil {
		return err
	}
	rows, err := kind.Rows(ctx, sources, options, rand.New(rand.NewPCG(o.seed, 1)))
	if err != nil {
		return err
	}
	out := traffic.Stream(stdout)
	if o.output != "" {
		if out, err = traffic.Create(o.output); err != nil {
			return err
		}
	}
	defer out.Discard()
	bar := newBar(int64(o.count), stderr, "making rows")
	made := 0
	for row := range rows {
		if err := out.Write(row); err != nil {
			return err
		}
		bar.Add(1)
		if made++; made == o.count {
			break
		}
	}
	bar.Finish()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case made < o.count:
		return fmt.Errorf("augment: %d of %d rows: CRS finds an attack in no more of them (want more payloads with --from, or a higher --order)",
			made, o.count)
	}
	if err := out.Close(); err != nil {
		return err
	}
	return skipped
}

// sources reads the rows to make others from.
func (o *augmentOptions) sources(stderr io.Writer) (s *augment.Sources, skipped error, err error) {
	s = augment.NewSources(rand.New(rand.NewPCG(o.seed, 2)))
	if len(o.files) > 0 {
		skipped, err = readSources(s, o.files, stderr)
	}
	return s, skipped, err
}

// readSources reads the rows of files to make others from. Rows that could not be used are named on stderr.
func readSources(s *augment.Sources, files []string, stderr io.Writer) (skipped error, err error) {
	reader, err := traffic.Open(files...)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	rows := newRows(reader, stderr, "reading")
	defer rows.finish()
	for row := range rows.all() {
		s.Add(row)
		rows.advance()
	}
	return rows.err(), nil
}
