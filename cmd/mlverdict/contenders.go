// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/rivals"
	"github.com/mlverdict/mlverdict/internal/scoreboard"
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
	material *rivals.Material
	excluded []*rivals.Excluder // those among the contenders
}

func newLeague(ctx context.Context, wanted []string, data *scoreboard.Data, m *model.Model, cache *replay.Cache) (*league, error) {
	l := &league{wanted: wanted, data: data, model: m, cache: cache}
	if len(data.Normal) == 0 || len(data.Attacks)+len(data.Payloads) == 0 {
		data.Notes = append(data.Notes, "There is no training traffic: only the model is measured, its rivals have nothing to learn from.")
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
		c := scoreboard.Judged("mlverdict", "the model as given", l.model)
		list = append(list, scoreboard.Adapter{Described: c.Described,
			Adapt: func([]scoreboard.Sample) (scoreboard.Contender, error) { return c, nil }})
	}
	for _, x := range l.excluded {
		if x.Name == "target-exclusion" {
			list = append(list, rivals.SiteExclusion(l.material, x))
		}
	}
	return list
}

// replay checks what the exclusions were reckoned to do against CRS itself.
func (l *league) replay(ctx context.Context, r *scoreboard.Result) error {
	for _, x := range l.excluded {
		for level := 1; level <= scoreboard.Levels; level++ {
			checked, err := x.Replay(ctx, l.data, l.cache, level, r.Tuning[level-1].Cuts[x.Name][scoreboard.Cleared99])
			if err != nil {
				return err
			}
			r.Replayed = append(r.Replayed, checked)
		}
	}
	return nil
}
