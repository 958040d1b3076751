// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/request"
)

// Short is the length in bytes up to which a payload counts as short.
const Short = 12

// PaddingSizes are the lengths of the text around a payload, in bytes; through CRS, only those up to the third.
var PaddingSizes = []int{1_000, 10_000, 100_000, 1_000_000}

// SizesUpTo lists the sizes of up to so many kB.
func SizesUpTo(kB int) []int {
	return slices.DeleteFunc(slices.Clone(PaddingSizes), func(size int) bool { return size > 1000*kB })
}

// throughCRS is the largest padding that is sent through CRS, which takes more than linear time.
const throughCRS = 100_000

// Padding measures whether an attack that both CRS and the model deny is still denied with text around it, in two ways.
//
// On views: the payload is a form's only field and goes through CRS; then the padded text takes its place in the view,
// with the matches of the bare payload. That is exact about the model's part and assumes of CRS that it matches the
// padded text by the same rules: often it matches more, and where a rule looks at the beginning or the end, less.
//
// Whole: the padded form goes through CRS and the model, up to 100 kB. The padding goes through alone, too: where it is
// denied by itself, the denial of a payload within it proves nothing.
type Padding struct {
	Model     *model.Model
	ModelPath string // of Model; empty = the embedded one
	Seed      uint64
	Attacks   []Attack
	Sizes     []int  // of PaddingSizes
	Levels    []int  // paranoia levels; the first is that of Whole
	Whole     int    // attacks of each class that go through CRS
	Advance   func() // called after each attack and after each request of Whole; may be nil
}

// PaddingReport is what was measured.
type PaddingReport struct {
	Model  string        `json:"model"`
	Seed   uint64        `json:"seed"`
	Bare   []PaddingBare `json:"bare"`
	Views  []PaddingCell `json:"views"`
	Whole  []WholeCell   `json:"whole"`
	Losses []PaddingLoss `json:"losses"`
}

// PaddingBare counts the attacks of a class without padding.
type PaddingBare struct {
	Class   string `json:"class"`
	Level   int    `json:"paranoia_level"`
	Attacks int    `json:"attacks"`
	Short   int    `json:"short"`
	Denied  int    `json:"denied"` // by both: only these are padded
}

// PaddingCell counts padded attacks that are alike, on views.
type PaddingCell struct {
	Class  string `json:"class"`
	Short  bool   `json:"short"`
	Text   string `json:"text"`
	Place  string `json:"place"`
	Size   int    `json:"size"`
	Level  int    `json:"paranoia_level"`
	Tried  int    `json:"tried"`
	Denied int    `json:"denied"`
	Change int    `json:"score_change"` // padded less bare, summed
	Most   int    `json:"most"`         // the largest change
}

// PaddingLoss is an attack that padding hid.
type PaddingLoss struct {
	Class   string `json:"class"`
	Payload string `json:"payload"`
	Level   int    `json:"paranoia_level"`
	Text    string `json:"text"`
	Place   string `json:"place"`
	Size    int    `json:"size"`
	Before  int    `json:"score_before"`
	After   int    `json:"score_after"`
}

// paddingPlaces are where the payload stands.
var paddingPlaces = []string{"start", "middle", "end"}

// Run measures.
func (s *Padding) Run(ctx context.Context) (*PaddingReport, error) {
	texts := paddingTexts(2*slices.Max(s.Sizes), s.Seed)
	report := &PaddingReport{Model: s.Model.ID(), Seed: s.Seed, Losses: []PaddingLoss{}}
	denied, err := s.views(ctx, texts, report)
	if err != nil {
		return nil, err
	}
	return report, s.whole(ctx, texts, denied, report)
}

// padded is an attack's view with padded text in the payload's place.
func padded(v *request.View, value int, text string) request.View {
	w := *v
	w.Values = slices.Clone(v.Values)
	w.Values[value].Text = text
	w.Size += len(text) - len(v.Values[value].Text)
	return w
}

// viewed is what became of one attack on views.
type viewed struct {
	bare   map[int]opinion
	cells  []PaddingCell
	losses []PaddingLoss
	err    error
}

// views measures on views, and returns the attacks that are denied without padding at the first level.
func (s *Padding) views(ctx context.Context, texts []padding, report *PaddingReport) (denied []Attack, err error) {
	replayer, err := replay.New()
	if err != nil {
		return nil, err
	}
	cells, bare := map[PaddingCell]int{}, map[PaddingBare]int{}
	i := 0
	for o := range replay.Parallel(ctx, indexes(len(s.Attacks)), 0, func(i int) viewed { return s.view(ctx, replayer, texts, i) }) {
		if o.err != nil {
			return nil, o.err
		}
		if s.Advance != nil {
			s.Advance()
		}
		attack := s.Attacks[i]
		i++
		if o.bare[s.Levels[0]].denied() {
			denied = append(denied, attack)
		}
		for _, level := range s.Levels {
			b := entry(&report.Bare, bare, PaddingBare{Class: attack.Class, Level: level})
			b.Attacks++
			if len(attack.Payload) <= Short {
				b.Short++
			}
			if o.bare[level].denied() {
				b.Denied++
			}
		}
		for _, c := range o.cells {
			key := PaddingCell{Class: c.Class, Short: c.Short, Text: c.Text, Place: c.Place, Size: c.Size, Level: c.Level}
			sum := entry(&report.Views, cells, key)
			sum.Tried++
			sum.Denied += c.Denied
			sum.Change += c.Change
			sum.Most = max(sum.Most, c.Change)
		}
		report.Losses = append(report.Losses, o.losses...)
	}
	return denied, ctx.Err()
}

// view looks at one attack in every padding.
func (s *Padding) view(ctx context.Context, replayer *replay.Replayer, texts []padding, i int) (out viewed) {
	attack := s.Attacks[i]
	out.bare = map[int]opinion{}
	rec, err := replayer.Replay(inForm(attack.Payload))
	if err != nil || rec.Refused {
		out.err = err
		return out
	}
	value := slices.IndexFunc(rec.View.Values, func(v request.Value) bool { return v.Place == request.Form && v.Text == attack.Payload })
	for _, level := range s.Levels {
		if out.bare[level], out.err = ask(s.Model, &rec.View, level); out.err != nil || value < 0 {
			return out
		}
	}
	rng := rand.New(rand.NewPCG(s.Seed, uint64(i)))
	for _, text := range texts {
		for _, place := range paddingPlaces {
			for _, size := range s.Sizes {
				if ctx.Err() != nil {
					return out
				}
				v := padded(&rec.View, value, text.around(attack.Payload, place, size, rng))
				for _, level := range s.Levels {
					before := out.bare[level]
					if !before.denied() {
						continue
					}
					after, err := ask(s.Model, &v, level)
					if err != nil {
						out.err = err
						return out
					}
					cell := PaddingCell{Class: attack.Class, Short: len(attack.Payload) <= Short, Text: text.name, Place: place, Size: size,
						Level: level, Change: after.score - before.score}
					if after.denied() {
						cell.Denied = 1
					} else {
						out.losses = append(out.losses, PaddingLoss{attack.Class, attack.Payload, level, text.name, place, size, before.score, after.score})
					}
					out.cells = append(out.cells, cell)
				}
			}
		}
	}
	return out
}

// Steps is how often Advance is called at most.
func (s *Padding) Steps() int { return len(s.Attacks) + len(s.cases(s.Attacks)) }

func pick(rng *rand.Rand, from []string) string { return from[rng.IntN(len(from))] }
