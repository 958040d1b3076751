// SPDX-License-Identifier: Apache-2.0

package training

import (
	"errors"
	"fmt"

	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/features"
	"github.com/mlverdict/mlverdict/model/request"
)

// Adapt makes a site's model of a base model and of the site's own traffic, read at paranoia level 4, which is mostly
// normal and needs no labels. What the site's traffic trips over loses its weight as evidence; the forest, which judges
// evidence, and the calibration stay. The same arguments give the same bytes.
func Adapt(base *model.Model, normal []request.View) (*model.Model, error) {
	parts := base.Parts()
	if parts.Schema != features.Verdict {
		return nil, fmt.Errorf("training: a model of schema %s cannot be adapted to a site (want %s)",
			parts.Schema.Name, features.Verdict.Name)
	}
	if len(normal) == 0 {
		return nil, errors.New("training: no normal requests to adapt to")
	}
	counts := evidence.NewRuleCounts()
	for i := range normal {
		counts.Add(&normal[i], "")
	}
	parts.Rules = parts.Rules.Adapt(counts)
	parts.Data.Normal += len(normal)
	return model.New(parts)
}
