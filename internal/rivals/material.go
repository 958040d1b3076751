// SPDX-License-Identifier: Apache-2.0

// Package rivals builds what the second verdict has to beat, as well as it can be built: each learns from the training
// and tuning traffic and never sees a test.
package rivals

import (
	"context"
	"hash/fnv"
	"math/rand/v2"
	"slices"

	"github.com/mlverdict/mlverdict/internal/augment"
	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/scoreboard"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/training"
	"github.com/mlverdict/mlverdict/model/request"
)

// seed of every random choice of the rivals.
const seed = 1

// payloads is how many bare payloads are put into requests, drawn at random.
const payloads = 2000

// Material is what rivals learn from.
type Material struct {
	Normal  []scoreboard.Sample // training traffic and the tuning half
	Attacks []request.View      // training attacks: bare payloads in training envelopes, and whole requests

	// Rivals that weigh evidence need it as it is on text that no counting has seen. One half of the training data
	// counts, the other half is measured.
	Counting        training.Corpus
	MeasuredNormal  []request.View
	MeasuredAttacks []request.View
}

// Gather replays training payloads in training envelopes, or finds them in the cache, and collects the rest.
func Gather(ctx context.Context, d *scoreboard.Data, cache *replay.Cache) (*Material, error) {
	m := &Material{Normal: slices.Concat(d.Normal, d.Tuning)}
	for i := range d.Normal {
		s := &d.Normal[i]
		if counts(training.Group(s.Request)) {
			m.Counting.AddNormal(recorded(s))
		} else if !s.Refused {
			m.MeasuredNormal = append(m.MeasuredNormal, s.View)
		}
	}
	for i := range d.Tuning {
		m.Counting.AddTuning(recorded(&d.Tuning[i]))
	}
	for _, r := range d.Payloads {
		if counts(training.AttackGroup(r)) {
			m.Counting.AddAttack(&replay.Recorded{Request: r})
		}
	}
	for i := range d.Attacks {
		if s := &d.Attacks[i]; counts(training.AttackGroup(s.Request)) {
			m.Counting.AddAttack(recorded(s))
		} else if !s.Refused {
			m.MeasuredAttacks = append(m.MeasuredAttacks, s.View)
		}
		m.Attacks = append(m.Attacks, d.Attacks[i].View)
	}
	return m, m.envelop(ctx, d, cache)
}

// envelop replays payloads drawn at random in training requests drawn at random.
func (m *Material) envelop(ctx context.Context, d *scoreboard.Data, cache *replay.Cache) error {
	envelopes := make([]*traffic.Request, len(d.Normal))
	for i := range envelopes {
		envelopes[i] = d.Normal[i].Request
	}
	var carriers, carried []*traffic.Request
	for carrier, payload := range augment.Embedded(d.Payloads, envelopes, min(payloads, len(envelopes)), rand.New(rand.NewPCG(seed, 0))) {
		carriers, carried = append(carriers, carrier), append(carried, payload)
	}
	i := 0
	for rec := range cache.Recordings(ctx, slices.Values(carriers), 0) {
		if rec.Err != nil {
			return rec.Err
		}
		if !rec.Refused {
			m.Attacks = append(m.Attacks, rec.View)
			if !counts(training.AttackGroup(carried[i])) {
				m.MeasuredAttacks = append(m.MeasuredAttacks, rec.View)
			}
		}
		i++
	}
	return ctx.Err()
}

// counts reports whether a group is in the half that counts.
func counts(group string) bool {
	h := fnv.New32a()
	h.Write([]byte(group))
	return h.Sum32()>>1&1 == 0
}

func recorded(s *scoreboard.Sample) *replay.Recorded {
	return &replay.Recorded{Request: s.Request, Recording: replay.Recording{View: s.View, Refused: s.Refused}}
}
