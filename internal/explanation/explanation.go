// SPDX-License-Identifier: Apache-2.0

// Package explanation takes the verdict on one request apart: what the text said, what the rules said, what the forest
// made of it and where that stands on the scale. It writes it as text, as JSON and as one HTML page.
package explanation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/verdict"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/features"
	"github.com/mlverdict/mlverdict/model/request"
	"github.com/mlverdict/mlverdict/plugin"
)

// Explanation is what was decided about one request, and why. What it quotes is escaped: no control byte is in it.
type Explanation struct {
	Request string          `json:"request"` // method and target
	Why     string          `json:"why"`
	Verdict verdict.Verdict `json:"verdict"`
	Model   *Judgement      `json:"model"` // nil where the request was refused before CRS had looked at it
}

// Judgement is the model's part, also where the mode did not ask it.
type Judgement struct {
	ID       string    `json:"id"`
	Score    int       `json:"score"` // 1..99, low = attack
	Band     string    `json:"band"`  // what the score means in words
	Share    float64   `json:"share"` // of the normal requests that CRS flags, those that score as low or lower, 0..1
	Anomaly  float64   `json:"anomaly"`
	Reason   string    `json:"reason"`
	Paranoia int       `json:"paranoia_level"`
	Reads    bool      `json:"reads"`  // text and rules; the schema of statistics does not
	Values   []Value   `json:"values"` // the strongest first, then those that were not read
	Rules    []Rule    `json:"rules"`  // the most surprising first, then those that look for no attack
	Unit     string    `json:"unit"`   // of the margin, and so of Base and of what the features add
	Base     float64   `json:"base"`   // mean margin of normal traffic
	Features []Feature `json:"features"`
	Margin   float64   `json:"margin"` // Base and all that the features add; the anomaly is a function of it
	Scale    []Mark    `json:"scale"`  // the calibration of the paranoia level

	calibration *model.Calibration
	threshold   int
}

// Value is one piece of the request's text.
type Value struct {
	Label    string  `json:"value"` // where it stood, and its name
	Read     bool    `json:"read"`  // a header is not, unless CRS flags it
	Flagged  bool    `json:"flagged"`
	Evidence float64 `json:"evidence"` // of the most suspicious stretch, nats
	Worth    float64 `json:"worth"`    // what of it counts, nats: less where the like is usual on the model's site
	Surprise float64 `json:"surprise"` // the largest of a rule on this value, nats
	Before   string  `json:"before,omitempty"`
	Stretch  string  `json:"stretch,omitempty"` // decoded, in lower case
	After    string  `json:"after,omitempty"`
}

// Rule is one rule of CRS that matched.
type Rule struct {
	ID       int      `json:"id"`
	Message  string   `json:"message"`
	Weighed  bool     `json:"weighed"`  // the model weighs only rules that look for attacks
	Surprise float64  `json:"surprise"` // nats
	Novelty  float64  `json:"novelty"`  // nats
	Rate     float64  `json:"rate"`     // of normal requests, those that it matches, 0..1; 0 = never
	On       []string `json:"on"`       // the values
}

// Feature is one number that the forest was asked about.
type Feature struct {
	Name  string  `json:"name"`
	Doc   string  `json:"doc"`
	Value float64 `json:"value"`
	Adds  float64 `json:"adds"` // to the margin: its Shapley value
}

// Mark is a point of the calibration.
type Mark struct {
	Score   int     `json:"score"`
	Anomaly float64 `json:"anomaly"` // the least that scores as low or lower
	Share   float64 `json:"share"`   // of the normal requests that CRS flags, 0..1
}

// New explains a verdict. view is nil where the request was refused before CRS had looked at it.
func New(req *traffic.Request, v verdict.Verdict, m *model.Model, view *request.View) (*Explanation, error) {
	v.ML.Error = escape(v.ML.Error)
	v.Matches = slices.Clone(v.Matches)
	for i, match := range v.Matches {
		v.Matches[i].Message, v.Matches[i].Data = escape(match.Message), cutEnd(match.Data, maxText)
	}
	e := &Explanation{Request: cutEnd(req.Method+" "+req.URI, maxText), Verdict: v}
	if view != nil {
		x, err := m.Explain(view)
		if err != nil {
			return nil, err
		}
		e.Model = judgement(m, view, x)
		e.Model.threshold = v.ML.Threshold
		e.Model.describe(v.Matches)
	}
	e.Why = e.why()
	return e, nil
}

func judgement(m *model.Model, view *request.View, x *model.Explanation) *Judgement {
	parts := m.Parts()
	j := &Judgement{
		ID: m.ID(), Score: x.Verdict.Score, Band: band(x.Verdict.Score), Share: model.Share(x.Verdict.Score),
		Anomaly: x.Verdict.Anomaly, Reason: x.Verdict.Reason(), Paranoia: view.Paranoia, calibration: m.Calibration(view),
		Reads: parts.Chains != nil, Values: values(view, &x.Trace), Rules: rules(view, &x.Trace, &parts),
		Unit: "cuts", Base: x.Forest.Base, Margin: x.Margin,
	}
	if parts.Forest.Weighed() {
		j.Unit = "nats"
	}
	for i, f := range parts.Schema.Features {
		j.Features = append(j.Features, Feature{f.Name, f.Doc, float64(x.Vector[i]), x.Forest.Features[i]})
	}
	for _, score := range []int{5, 20, 50, 80} {
		j.Scale = append(j.Scale, Mark{score, j.calibration[score-1], model.Share(score)})
	}
	return j
}

// band says what a score means.
func band(score int) string {
	switch {
	case score <= 20:
		return "attack"
	case score <= 50:
		return "likely attack"
	case score <= 80:
		return "likely clean"
	}
	return "clean"
}

// label names a value.
func label(v *request.Value) string {
	if v.Name == "" {
		return v.Place.String()
	}
	return fmt.Sprintf("%s '%s'", v.Place, cutEnd(v.Name, maxName))
}

func values(view *request.View, trace *features.Trace) []Value {
	list := make([]Value, len(view.Values))
	for i := range view.Values {
		list[i] = Value{Label: label(&view.Values[i])}
	}
	for _, t := range trace.Values {
		v := &list[t.Value]
		v.Read, v.Flagged, v.Evidence, v.Worth, v.Surprise = true, t.Flagged, t.Evidence, t.Worth, t.Surprise
		if t.Evidence > 0 {
			v.Before, v.Stretch, v.After = cutStart(t.Decoded[:t.Lo], maxContext), cutEnd(t.Decoded[t.Lo:t.Hi], maxText), cutEnd(t.Decoded[t.Hi:], maxContext)
		} else {
			v.Before = cutEnd(t.Decoded, maxContext)
		}
	}
	slices.SortStableFunc(list, func(a, b Value) int {
		return cmp.Or(cmp.Compare(order(b.Read), order(a.Read)),
			cmp.Compare(b.Worth+b.Surprise, a.Worth+a.Surprise), cmp.Compare(b.Evidence, a.Evidence))
	})
	return list
}

func rules(view *request.View, trace *features.Trace, parts *model.Parts) []Rule {
	var list []Rule
	at := map[int]int{} // index by rule
	for i := range view.Matches {
		match := &view.Matches[i]
		if !view.Counts(match) {
			continue
		}
		r := Rule{ID: match.Rule, On: []string{}}
		if parts.Rules != nil {
			r.Rate = parts.Rules.Rarity(match.Rule)
		}
		for j := range match.Values(len(view.Values)) {
			r.On = append(r.On, label(&view.Values[j]))
		}
		at[r.ID] = len(list)
		list = append(list, r)
	}
	for _, t := range trace.Rules {
		r := &list[at[t.Rule]]
		r.Weighed, r.Surprise, r.Novelty = true, max(r.Surprise, t.Surprise), max(r.Novelty, t.Novelty)
	}
	slices.SortStableFunc(list, func(a, b Rule) int {
		return cmp.Or(cmp.Compare(order(b.Weighed), order(a.Weighed)), cmp.Compare(b.Surprise, a.Surprise), cmp.Compare(b.Novelty, a.Novelty))
	})
	return list
}

// order sorts what is after what is not.
func order(is bool) int {
	if is {
		return 1
	}
	return 0
}

// describe adds CRS's own words for its rules.
func (j *Judgement) describe(matches []verdict.Match) {
	for i := range j.Rules {
		for _, m := range matches {
			if m.Rule == j.Rules[i].ID {
				j.Rules[i].Message = m.Message
			}
		}
	}
}

// why puts the verdict into a sentence.
func (e *Explanation) why() string {
	v, m := &e.Verdict, e.Model
	if m == nil {
		by := "Coraza itself"
		if v.Rule != 0 {
			by = fmt.Sprintf("Rule %d", v.Rule)
		}
		return by + " refused the request before CRS and the model had looked at it."
	}
	crs := fmt.Sprintf("CRS does not flag it (score %d < %d)", v.CRS.Score, v.CRS.Threshold)
	if v.CRS.Flags() {
		crs = fmt.Sprintf("CRS flags it (score %d ≥ %d)", v.CRS.Score, v.CRS.Threshold)
	}
	ml := fmt.Sprintf("the model clears it (score %d > %d)", m.Score, m.threshold)
	if m.Score <= m.threshold {
		ml = fmt.Sprintf("the model flags it (score %d ≤ %d)", m.Score, m.threshold)
	}
	var effect string
	switch {
	case v.ML.Error != "":
		ml, effect = "the model gave no answer: "+v.ML.Error, ", so CRS decided alone"
	case v.ML.Score == 0:
		effect = ", but the mode did not ask it"
	case v.Decision == verdict.Veto:
		effect = " and vetoes the denial"
	case v.Mode == string(plugin.Shadow):
		effect = ", but in mode shadow CRS decides alone"
	}
	return fmt.Sprintf("%s, %s%s: %s.%s", crs, ml, effect, m.Reason, m.pulls())
}

// pulls names the features that speak loudest for an attack and against it.
func (j *Judgement) pulls() string {
	most := slices.MaxFunc(j.Features, func(a, b Feature) int { return cmp.Compare(a.Adds, b.Adds) })
	least := slices.MinFunc(j.Features, func(a, b Feature) int { return cmp.Compare(a.Adds, b.Adds) })
	var parts []string
	if most.Adds > 0 {
		parts = append(parts, fmt.Sprintf("%s (%+.2f %s) speaks most for an attack", most.Name, most.Adds, j.Unit))
	}
	if least.Adds < 0 {
		parts = append(parts, fmt.Sprintf("%s (%+.2f %s) speaks most against one", least.Name, least.Adds, j.Unit))
	}
	if len(parts) == 0 {
		return ""
	}
	return " Of the features, " + strings.Join(parts, "; ") + "."
}
