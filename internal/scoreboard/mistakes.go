// SPDX-License-Identifier: Apache-2.0

package scoreboard

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/model"
)

// Mistakes are the worst errors of a model on the test, for a person to look at. They quote requests, so they stand
// apart from the [Result].
type Mistakes struct {
	Model  string                 `json:"model"`
	Denied [Levels][]Mistake      `json:"denied"` // normal requests that CRS and the model deny, the surest first
	Passed [Levels][]Mistake      `json:"passed"` // attacks that CRS denies and the model lets through, the surest first
	Counts [Levels]MistakesCounts `json:"counts"`
}

// MistakesCounts tells how many there are of each kind.
type MistakesCounts struct {
	Denied int `json:"denied"`
	Passed int `json:"passed"`
}

// Mistake is one request that was judged wrongly.
type Mistake struct {
	Set     string   `json:"set"`
	Class   string   `json:"class"`
	Source  string   `json:"source"`
	Request string   `json:"request"`
	CRS     int      `json:"crs_score"`
	Score   int      `json:"score"`
	Reason  string   `json:"reason"`
	Rules   []int    `json:"rules"`
	Values  []Quoted `json:"values"` // that CRS's payload rules matched, a few
	anomaly float64
}

// Quoted is a value of a request.
type Quoted struct {
	Place string `json:"place"`
	Name  string `json:"name"`
	Text  string `json:"text"`
}

// Bounds of what is quoted.
const (
	worst      = 20  // mistakes of a kind at a level
	maxValues  = 3   // values of a mistake
	maxText    = 300 // bytes of a value or request line
	maxMatches = 12  // rules of a mistake
)

// FindMistakes collects the worst mistakes on the test at the default threshold.
func FindMistakes(d *Data, m *model.Model) *Mistakes {
	out := &Mistakes{Model: m.ID()}
	var verdict model.Verdict
	for level := 1; level <= Levels; level++ {
		denied, passed := []Mistake{}, []Mistake{}
		for i := range d.Test {
			s := &d.Test[i]
			v := s.View.AtParanoia(level)
			if !s.Flagged(level) || !s.Counted() || m.Judge(&v, &verdict) != nil {
				continue
			}
			flags, attack := verdict.Score <= DefaultThreshold, s.Label == traffic.Attack
			if flags == attack {
				continue
			}
			list := &denied
			if attack {
				list = &passed
			}
			*list = append(*list, mistake(s, level, &verdict))
		}
		out.Counts[level-1] = MistakesCounts{len(denied), len(passed)}
		slices.SortStableFunc(denied, func(a, b Mistake) int { return cmp.Compare(b.anomaly, a.anomaly) })
		slices.SortStableFunc(passed, func(a, b Mistake) int { return cmp.Compare(a.anomaly, b.anomaly) })
		out.Denied[level-1] = denied[:min(worst, len(denied))]
		out.Passed[level-1] = passed[:min(worst, len(passed))]
	}
	return out
}

func mistake(s *Sample, level int, verdict *model.Verdict) Mistake {
	v := s.View.AtParanoia(level)
	m := Mistake{Set: s.Set, Class: s.class(), Source: s.Src, Request: cut(s.Method + " " + s.URI), CRS: v.Score(),
		Score: verdict.Score, Reason: verdict.Reason(), anomaly: verdict.Anomaly}
	for i := range v.Matches {
		if v.Counts(&v.Matches[i]) && len(m.Rules) < maxMatches {
			m.Rules = append(m.Rules, v.Matches[i].Rule)
		}
	}
	for i, flagged := range v.Flagged(nil) {
		if x := &v.Values[i]; flagged && len(m.Values) < maxValues {
			m.Values = append(m.Values, Quoted{x.Place.String(), cut(x.Name), cut(x.Text)})
		}
	}
	return m
}

// cut shortens a text and keeps it valid UTF-8.
func cut(text string) string {
	if len(text) > maxText {
		text = text[:maxText] + "…"
	}
	return strings.ToValidUTF8(text, "�")
}

// JSON writes the mistakes.
func (m *Mistakes) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(m, "", " ")
	return append(text, '\n'), err
}

// ReadMistakes reads mistakes that were written before.
func ReadMistakes(path string) (*Mistakes, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("scoreboard: %w (want what mlverdict scoreboard --mistakes writes)", err)
	}
	var m Mistakes
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("scoreboard: %s: %w (want what mlverdict scoreboard --mistakes writes)", path, err)
	}
	return &m, nil
}
