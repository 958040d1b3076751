// SPDX-License-Identifier: Apache-2.0

package augment

import (
	"context"
	"iter"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/request"
)

// patience is how many texts in a row may be dropped until there are taken to be none worth keeping.
const patience = 500

// confirmed yields, as payload rows, the texts that CRS denies at paranoia level 1 because one of its rules against attacks
// matched the text itself. The class is that of most of these rules.
func confirmed(ctx context.Context, replayer *replay.Replayer, texts iter.Seq[string]) iter.Seq[*traffic.Request] {
	type answer struct {
		text, class string
		ok          bool
	}
	return func(yield func(*traffic.Request) bool) {
		rejected := 0
		for a := range replay.Parallel(ctx, texts, 0, func(text string) answer {
			rec, err := replayer.Replay(InQuery(text))
			if err != nil || rec.Refused {
				return answer{}
			}
			class, ok := attackIn(rec.View.AtParanoia(1), text)
			return answer{text, class, ok}
		}) {
			if !a.ok {
				if rejected++; rejected == patience {
					return
				}
				continue
			}
			rejected = 0
			if !yield(&traffic.Request{Payload: a.text, Class: a.class}) {
				return
			}
		}
	}
}

// attackIn tells whether CRS denies the view because of a text in it, and for what class of attack.
func attackIn(v request.View, text string) (class string, ok bool) {
	var votes [evidence.Classes]int
	for i := range v.Matches {
		m := &v.Matches[i]
		if !v.Counts(m) || !m.Payload() {
			continue
		}
		for j := range m.Values(len(v.Values)) {
			if v.Values[j].Text == text {
				c, _ := evidence.ClassOfRule(m.Rule)
				votes[c]++
				ok = true
			}
		}
	}
	best := evidence.Other
	for c, n := range votes {
		if n > votes[best] {
			best = evidence.Class(c)
		}
	}
	return best.String(), ok && v.Denied()
}
