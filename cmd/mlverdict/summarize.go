// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"
)

type summarizeOptions struct {
	base   string
	output string
	cache  string
}

func newSummarizeCommand() *cobra.Command {
	var o summarizeOptions
	cmd := &cobra.Command{
		Use:   "summarize FILE...",
		Short: "reduce a site's requests to numbers, for train --base elsewhere",
		Long: `Summarize replays requests through CRS and writes what "train --base" needs to know of them: a summary. Traffic of many
machines is summarized where it lives and trained on together. Training on summaries gives the same model as training on all
of their rows, byte by byte, whatever the order, and a request that stands in several of them counts once.

A summary holds no text of a request: of each there is the SHA-256, CRS's scores and threshold, the matched rules with the values
that they named, and for each value its place, a hash of its name, its length, how much it looks like an attack and on how long
a stretch. Rows need no label; those labelled attack are left out.
FILE may be a summary, too: several become one.`,
		Example: `  mlverdict summarize -o host1.summary june.jsonl.gz
  mlverdict train --base default -o site.model host1.summary host2.summary`,
		Args: someFiles,
		RunE: func(cmd *cobra.Command, files []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), files)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.base, "base", embeddedName, "`MODEL` that the summary is for: a file, or default for the embedded one")
	f.StringVarP(&o.output, "output", "o", "", "summary `FILE` to write (required), such as host1.summary")
	cacheFlag(cmd, &o.cache)
	return cmd
}

func (o *summarizeOptions) run(ctx context.Context, stdout, stderr io.Writer, files []string) error {
	if o.output == "" {
		return usagef("no summary file to write (want --output FILE, such as -o host1.summary)")
	}
	if err := checkOutput("--output", &o.output, slices.Concat(files, []string{o.base})...); err != nil {
		return err
	}
	site, skipped := gatherSite(ctx, o.cache, stderr, o.base, files)
	if site == nil {
		return skipped
	}
	if site.Len() == 0 {
		return errors.Join(skipped, errors.New("summarize: no normal requests (rows without a label, or with the label benign)"))
	}
	b, err := site.Bytes()
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(o.output, b, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s: %d requests%s, %d bytes, for model %s\n", o.output, site.Len(), site.left(), len(b), site.base.ID())
	return skipped
}
