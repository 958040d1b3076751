// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/training"
	"github.com/mlverdict/mlverdict/model"
)

// embeddedName is how --base names the embedded model.
const embeddedName = "default"

// loadBase reads the model that a site's is made of.
func loadBase(name string) (*model.Model, error) {
	if name == embeddedName {
		return model.Default(), nil
	}
	return readModel(name, embeddedName)
}

// siteTraffic is a site's traffic: its summary for a base model, and what was left out of it.
type siteTraffic struct {
	*training.Summary
	base    *model.Model
	repeats int // requests that had been read before
	attacks int // rows labelled attack
	refused int // requests that Coraza itself refuses: no model is asked about them
}

// gatherSite summarizes request files, whose rows need no label, for a base model and takes in summaries. Rows that could
// not be used are a skippedRows beside it.
func gatherSite(ctx context.Context, cacheDir string, stderr io.Writer, baseName string, files []string) (*siteTraffic, error) {
	base, err := loadBase(baseName)
	if err != nil {
		return nil, err
	}
	summary, err := training.NewSummary(base)
	if err != nil {
		return nil, err
	}
	site := &siteTraffic{Summary: summary, base: base}
	reader, err := traffic.Open(files...)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	reader.Unlabelled = true
	others, err := reader.Take(training.SummaryHead, training.IsSummary, site.merge)
	if err != nil {
		return nil, err
	}
	if others == 0 {
		return site, nil
	}
	err = site.replay(ctx, cacheDir, stderr, reader)
	if err != nil && !errors.As(err, new(skippedRows)) {
		return nil, err
	}
	if site.attacks > 0 {
		fmt.Fprintf(stderr, "mlverdict: %d rows labelled attack were left out: a site's model is made of its normal traffic\n", site.attacks)
	}
	if site.refused > 0 {
		fmt.Fprintf(stderr, "mlverdict: %d requests were left out that Coraza refuses before CRS judges them\n", site.refused)
	}
	return site, err
}

// merge takes a summary in.
func (site *siteTraffic) merge(name string, content io.Reader) error {
	file, err := io.ReadAll(io.LimitReader(content, training.MaxSummarySize+1))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	part, err := training.ReadSummary(file, site.base)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	before := site.Len()
	if err := site.Merge(part); err != nil {
		return err
	}
	site.repeats += before + part.Len() - site.Len()
	return nil
}

func (site *siteTraffic) replay(ctx context.Context, cacheDir string, stderr io.Writer, reader *traffic.Reader) error {
	cache, err := replay.OpenCache(cacheDir)
	if err != nil {
		return err
	}
	defer cache.Close()
	return eachRow(ctx, cache, stderr, "replaying", reader, func(rec *replay.Recorded) {
		switch {
		case rec.Request.Label == traffic.Attack:
			site.attacks++
		case rec.Refused:
			site.refused++
		case !site.Add(rec.Request, &rec.View):
			site.repeats++
		}
	})
}

// aloneWithBase refuses flags that say how to train a model from nothing.
func aloneWithBase(flags *pflag.FlagSet) error {
	for _, name := range []string{"tune", "schema", "trees", "subsample", "seed", "augment"} {
		if flags.Changed(name) {
			return usagef("--base and --%s given (a model that is adapted keeps what it is; want one of them)", name)
		}
	}
	return nil
}

// adapt makes a site's model of another one.
func (o *trainOptions) adapt(ctx context.Context, stdout, stderr io.Writer, files []string) error {
	if err := o.checkOutput(files); err != nil {
		return err
	}
	site, skipped := gatherSite(ctx, o.cache, stderr, o.base, files)
	if site == nil {
		return skipped
	}
	m, err := training.Adapt(site.base, site.Summary)
	if err != nil {
		return errors.Join(skipped, err)
	}
	if err := writeModel(o.files, m, site.Manifest(), training.SiteCard(m, site.base, site.Summary)); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s: model %s, %d bytes, model %s adapted to %d requests%s, knows what is usual in %d parameters\n",
		o.output, m.ID(), len(m.Bytes()), site.base.ID(), site.Len(), site.left(), m.Parts().Baseline.Params())
	return skipped
}

// left tells what was left out as repeated.
func (site *siteTraffic) left() string {
	if site.repeats == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d repeats left out)", site.repeats)
}
