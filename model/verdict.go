// SPDX-License-Identifier: Apache-2.0

package model

import (
	"math"
	"strconv"
	"strings"

	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/features"
	"github.com/mlverdict/mlverdict/model/request"
)

// Verdict is a model's answer to one view. The zero value is "not scored". Reusing a Verdict saves allocations.
type Verdict struct {
	Score       int                   // 1..99, low = attack; 0 = not scored
	Anomaly     float64               // the forest's anomaly, 0..1, high = unlike normal traffic
	Class       evidence.Class        // the class of attack that the strongest stretch of text and the rules that matched resemble most
	ClassScores [evidence.Classes]int // for each class, the score on the same scale; 99 where these speak against it

	mute    string // name of a schema that tells no reasons
	found   features.Found
	place   request.Place
	name    [maxName]byte
	nameLen int // of the whole name
}

// Bounds of a reason, in bytes. Coraza cuts the data of a log line at 280, and the plugin's rules need 66 of them.
const (
	MaxReason  = 214
	maxName    = 32 // of a quoted argument name, escaped
	maxStretch = 56 // of the quoted stretch of text, escaped
)

// unlikely is the log-probability below which a class is not considered: 1 in 20.
const unlikely = -3

// witness takes over what the extraction found.
func (d *Verdict) witness(v *request.View, found *features.Found) {
	d.found = *found
	if found.Value >= 0 {
		x := &v.Values[found.Value]
		d.place = x.Place
		d.nameLen = len(x.Name)
		copy(d.name[:], x.Name)
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
		default: // as much less an attack of this class as text and rules favour the other
			less := found.Posterior[d.Class] - p
			d.ClassScores[c] = min(d.Score+int(math.Ceil(less*10)), MaxScore)
		}
	}
}

// Reason tells in a few words what the verdict rests on: the payload evidence of the value of which text and rules say most, where
// it stood, how the stretch of text begins, and of the rules that look for attacks and matched the one whose match surprises most, with how
// often normal requests show the like: the rule on as long a stretch that looks like an attack, or on a value as long where
// none does. It is escaped, at most [MaxReason] bytes long and safe in a log line.
func (d *Verdict) Reason() string {
	switch {
	case d.Score == 0:
		return "not scored"
	case d.mute != "":
		return "the schema " + d.mute + " weighs neither text nor rules"
	}
	return string(d.appendRules(d.appendText(make([]byte, 0, MaxReason))))
}

// appendText appends what the text says.
func (d *Verdict) appendText(b []byte) []byte {
	f := &d.found
	if f.Value < 0 {
		return append(b, "no text like an attack"...)
	}
	b = append(b, d.Class.String()...)
	b = append(b, " evidence "...)
	b = strconv.AppendFloat(b, f.Evidence, 'f', 1, 64)
	b = append(b, " in "...)
	b = append(b, d.place.String()...)
	if d.nameLen > 0 {
		b = append(b, ' ')
		b = appendQuoted(b, d.name[:min(d.nameLen, len(d.name))], d.nameLen, maxName)
	}
	b = append(b, ": "...)
	return appendQuoted(b, f.Quote[:f.QuoteLen], f.Stretch, maxStretch)
}

// appendRules appends what the rules say.
func (d *Verdict) appendRules(b []byte) []byte {
	f := &d.found
	if f.Rules == 0 {
		return append(b, "; no rule that looks for attacks matched"...)
	}
	b = append(b, "; rule "...)
	b = strconv.AppendInt(b, int64(f.Rule), 10)
	if f.Rules > 1 {
		b = append(b, " (rarest of "...)
		b = strconv.AppendInt(b, int64(f.Rules), 10)
		b = append(b, ')')
	}
	if f.Rate == 0 {
		return append(b, " never matched the like in a normal request"...)
	}
	b = append(b, " matches the like in "...)
	b = strconv.AppendFloat(b, 100*f.Rate, 'g', 2, 64)
	return append(b, "% of normal requests"...)
}

// appendQuoted appends the beginning of a text of length bytes between single quotes, in at most limit bytes, and
// "..." where that is not all. What could end the quote or confuse a log (quotes, brackets, backslashes, control and
// non-ASCII bytes, the start of a macro) is written \xXX.
func appendQuoted(b, beginning []byte, length, limit int) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '\'')
	from, shown := len(b), 0
	for _, c := range beginning {
		size := 1
		plain := c >= ' ' && c <= '~' && strings.IndexByte(`'"\[]%`, c) < 0
		if !plain {
			size = 4
		}
		if len(b)-from+size > limit {
			break
		}
		if plain {
			b = append(b, c)
		} else {
			b = append(b, '\\', 'x', digits[c>>4], digits[c&15])
		}
		shown++
	}
	b = append(b, '\'')
	if shown < length {
		b = append(b, "..."...)
	}
	return b
}
