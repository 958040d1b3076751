// SPDX-License-Identifier: Apache-2.0

package model

import (
	"math"
	"strconv"

	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/features"
	"github.com/mlverdict/mlverdict/model/request"
)

// Verdict is a model's answer to one view. The zero value is "not scored". Reusing a Verdict saves allocations.
type Verdict struct {
	Score       int                   // 1..99, low = attack; 0 = not scored
	Anomaly     float64               // the forest's anomaly, 0..1, high = unlike normal traffic
	Class       evidence.Class        // the class of attack that the strongest stretch of text resembles most
	ClassScores [evidence.Classes]int // for each class, the score on the same scale; 99 where the text speaks against it

	found features.Found
	place request.Place
	name  [maxName]byte
	named int
}

// maxName bounds a quoted argument name, in bytes.
const maxName = 24

// unlikely is the log-probability below which a class is not considered: 1 in 20.
const unlikely = -3

// witness takes over what the extraction found.
func (d *Verdict) witness(v *request.View, found *features.Found) {
	d.found = *found
	if found.Value >= 0 {
		x := &v.Values[found.Value]
		d.place = x.Place
		d.named = copy(d.name[:], x.Name)
	}
	d.Class = evidence.Other // where neither text nor rules tell the class
	for c, p := range found.Posterior {
		if p > found.Posterior[d.Class] {
			d.Class = evidence.Class(c)
		}
	}
	for c, p := range found.Posterior {
		switch {
		case p < unlikely:
			d.ClassScores[c] = MaxScore
		case evidence.Class(c) == d.Class:
			d.ClassScores[c] = d.Score
		default: // as much less an attack of this class as the text favours the other
			less := found.Posterior[d.Class] - p
			d.ClassScores[c] = min(d.Score+int(math.Ceil(less*10)), MaxScore)
		}
	}
}

// Reason tells in a few words what the verdict rests on: the strongest payload evidence, where it stood, the text,
// and the rule that is rarest on normal traffic. It is escaped, at most some 250 bytes long and safe in a log line.
func (d *Verdict) Reason() string {
	if d.Score == 0 {
		return "not scored"
	}
	b := make([]byte, 0, 160)
	if f := &d.found; f.Value < 0 {
		b = append(b, "no text like an attack"...)
	} else {
		b = append(b, d.Class.String()...)
		b = append(b, " evidence "...)
		b = strconv.AppendFloat(b, f.Evidence, 'f', 1, 64)
		b = append(b, " in "...)
		b = append(b, d.place.String()...)
		if d.named > 0 {
			b = append(b, ' ')
			b = appendQuoted(b, d.name[:d.named])
		}
		b = append(b, ": "...)
		b = appendQuoted(b, f.Quote[:f.QuoteLen])
	}
	if d.found.Rule != 0 {
		b = append(b, "; rule "...)
		b = strconv.AppendInt(b, int64(d.found.Rule), 10)
		if d.found.Rarity == 0 {
			return string(append(b, " never matched a normal request"...))
		}
		b = append(b, " matches "...)
		b = strconv.AppendFloat(b, 100*d.found.Rarity, 'g', 2, 64)
		b = append(b, "% of normal requests"...)
	}
	return string(b)
}

// appendQuoted appends text between single quotes; what could end the quote or confuse a log (quotes, brackets,
// backslashes, control and non-ASCII bytes, the start of a macro) is written \xXX.
func appendQuoted(b, text []byte) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '\'')
	for _, c := range text {
		switch {
		case c < ' ', c > '~', c == '\'', c == '"', c == '\\', c == '[', c == ']', c == '%':
			b = append(b, '\\', 'x', digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '\'')
}
