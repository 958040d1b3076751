// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"github.com/mlverdict/mlverdict/internal/exclusions"
	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/rivals"
	"github.com/mlverdict/mlverdict/internal/scoreboard"
	"github.com/mlverdict/mlverdict/internal/training"
	"github.com/mlverdict/mlverdict/model"
)

// contenderNames are those that the command can build; a file of scores may add others.
var contenderNames = []string{"mlverdict", "thesis", "rule-exclusion", "target-exclusion", "logistic"}

// league builds the contenders that were asked for.
type league struct {
	wanted   []string // none = all
	data     *scoreboard.Data
	model    *model.Model
	cache    *replay.Cache
	material *rivals.Material   // nil without training traffic
	excluded []*rivals.Excluder // those among the contenders
}

func newLeague(ctx context.Context, wanted []string, data *scoreboard.Data, m *model.Model, cache *replay.Cache) (*league, error) {
	l := &league{wanted: wanted, data: data, model: m, cache: cache}
	if len(data.Normal) == 0 {
		data.Notes = append(data.Notes, "There is no normal training traffic: only the model is measured, its rivals have nothing to learn from.")
		l.wanted = []string{"mlverdict"}
		return l, nil
	}
	var err error
	l.material, err = rivals.Gather(ctx, data, cache)
	return l, err
}

func (l *league) wants(name string) bool {
	return len(l.wanted) == 0 || slices.Contains(l.wanted, name)
}

// contenders builds those of the generic regime. scores is a file of scores by other software, empty for none.
func (l *league) contenders(scores string) (list []scoreboard.Contender, err error) {
	if l.wants("mlverdict") {
		list = append(list, scoreboard.Judged("mlverdict", "the second verdict", l.model))
	}
	if l.wants("thesis") {
		c, err := rivals.Thesis(l.data)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	if l.wants("rule-exclusion") {
		l.excluded = append(l.excluded, rivals.Rules(l.material))
	}
	if l.wants("target-exclusion") {
		l.excluded = append(l.excluded, rivals.Targets(l.material))
	}
	for _, x := range l.excluded {
		list = append(list, x.Contender())
	}
	if l.wants("logistic") {
		c, err := rivals.Logistic(l.model, l.material)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	if scores != "" {
		outside, err := rivals.Outsiders(scores)
		if err != nil {
			return nil, err
		}
		for _, c := range outside {
			if l.wants(c.Name) {
				list = append(list, c)
			}
		}
	}
	return list, nil
}

// adapters are those of the site-trained regime.
func (l *league) adapters() (list []scoreboard.Adapter) {
	if l.wants("mlverdict") {
		list = append(list, adapted("mlverdict", "the model as given", func([]scoreboard.Sample) (*model.Model, error) { return l.model, nil }))
		if training.Adaptable(l.model) == nil {
			list = append(list, adapted("mlverdict-adapted", "the model adapted to the site",
				func(own []scoreboard.Sample) (*model.Model, error) { return scoreboard.AdaptTo(l.model, own) }))
		}
	}
	for _, x := range l.excluded {
		if x.Name == "target-exclusion" {
			list = append(list, rivals.SiteExclusion(l.material, x))
		}
	}
	return list
}

// adapted makes a contender of the model that adapt returns for a site's own normal requests.
func adapted(name, doc string, adapt func([]scoreboard.Sample) (*model.Model, error)) scoreboard.Adapter {
	return scoreboard.Adapter{Described: scoreboard.Described{Name: name, Doc: doc},
		Adapt: func(own []scoreboard.Sample) (scoreboard.Contender, error) {
			m, err := adapt(own)
			if err != nil {
				return scoreboard.Contender{}, err
			}
			return scoreboard.Judged(name, doc, m), nil
		}}
}

// replay checks what the exclusions were reckoned to do against CRS itself, and writes them into a folder where one is
// given.
func (l *league) replay(ctx context.Context, r *scoreboard.Result, folder string) error {
	for _, x := range l.excluded {
		for level := 1; level <= scoreboard.Levels; level++ {
			cut := r.Tuning[level-1].Cuts[x.Name][scoreboard.Cleared99]
			checked, err := x.Replay(ctx, l.data, l.cache, level, cut)
			if err != nil {
				return err
			}
			r.Replayed = append(r.Replayed, checked)
			if folder == "" {
				continue
			}
			path := filepath.Join(folder, fmt.Sprintf("%s-pl%d.conf", x.Name, level))
			err = errors.Join(os.MkdirAll(folder, 0o755), renameio.WriteFile(path, []byte(exclusions.Directives(x.Until(level, cut))), 0o644))
			if err != nil {
				return err
			}
		}
	}
	return nil
}
