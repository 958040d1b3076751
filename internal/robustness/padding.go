// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/mlverdict/mlverdict/internal/augment"
	"github.com/mlverdict/mlverdict/internal/evaluation"
	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/request"
)

// Short is the length in bytes up to which a payload counts as short.
const Short = 12

// PaddingSizes are the lengths of the text around a payload, in bytes; through CRS, only those up to the third.
var PaddingSizes = []int{1_000, 10_000, 100_000, 1_000_000}

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

// WholeCell counts padded attacks that went through CRS.
type WholeCell struct {
	Text      string `json:"text"`
	Size      int    `json:"size"`
	Level     int    `json:"paranoia_level"`
	Tried     int    `json:"tried"`
	Refused   int    `json:"refused"` // by Coraza itself
	CRS       int    `json:"crs_denied"`
	Denied    int    `json:"denied"`
	CRSAlone  bool   `json:"padding_crs_denied"` // the padding without a payload
	Alone     bool   `json:"padding_denied"`
	Untouched int    `json:"untouched"` // denied, though the padding alone would not be
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

// padding is one kind of text, longer than any that is needed.
type padding struct{ name, text string }

// around puts a blank and size bytes of the text around a payload.
func (p *padding) around(payload, place string, size int, rng *rand.Rand) string {
	at := rng.IntN(len(p.text) - size + 1)
	text := p.text[at : at+size]
	switch place {
	case "start":
		return payload + " " + text
	case "end":
		return text + " " + payload
	}
	return text[:size/2] + " " + payload + " " + text[size/2:]
}

// paddingMarks are the special characters.
const paddingMarks = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

// paddingKinds are the kinds of text; each draws a piece.
var paddingKinds = []struct {
	name string
	draw func(*rand.Rand) string
}{
	{"ascii", func(rng *rand.Rand) string { return letters(rng, 1+rng.IntN(9)) + " " }},
	{"json", func(rng *rand.Rand) string {
		return fmt.Sprintf(`{"%s":"%s","%s":%d,"%s":[true,null]},`, letters(rng, 4), letters(rng, 8), letters(rng, 5), rng.IntN(10000), letters(rng, 3))
	}},
	{"special", func(rng *rand.Rand) string { return string(paddingMarks[rng.IntN(len(paddingMarks))]) }},
	{"base64", func(rng *rand.Rand) string { return base64.StdEncoding.EncodeToString([]byte(letters(rng, 48))) }},
	{"html", func(rng *rand.Rand) string {
		return fmt.Sprintf("<div class=\"%s\"><p>%s <b>%s</b></p></div>\n", letters(rng, 6), letters(rng, 7), letters(rng, 5))
	}},
	{"markov", markovText},
}

// markovText draws a text of a chain of the paragraphs' characters, order 4.
func markovText(rng *rand.Rand) string {
	for text := range paragraphChain().Texts(augment.Lengths{Typical: 400, Most: 400}, rng) {
		return text + " "
	}
	return ""
}

var paragraphChain = sync.OnceValue(func() *augment.Markov {
	chain, err := augment.LearnMarkov(paragraphs, augment.Characters, 4)
	if err != nil {
		panic(err) // the order is a constant
	}
	return chain
})

// paddingTexts makes the texts, each size bytes long.
func paddingTexts(size int, seed uint64) (list []padding) {
	for i, kind := range paddingKinds {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		var b strings.Builder
		for b.Len() < size {
			b.WriteString(kind.draw(rng))
		}
		list = append(list, padding{kind.name, b.String()[:size]})
	}
	return list
}

// paragraphs are what the Markov chain learns from.
var paragraphs = []string{
	"The market opens early on Saturday and the first visitors arrive before the bakers have put out their bread.",
	"We moved the meeting to Thursday afternoon; please bring the printed report and the list of open questions.",
	"Her letter described the long way across the hills, the rain in the valley and the small house by the river.",
	"The bicycle is in good condition, has been serviced last month and comes with a lock, a pump and two lamps.",
	"If the parcel has not arrived within five days, write to us with your order number and we will look for it.",
	"After the concert everybody walked down to the harbour, where the last ferry was waiting with its lights on.",
}

// letters returns a random word.
func letters(rng *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + rng.IntN(26))
	}
	return string(b)
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
	if err != nil || rec.Engine != 0 {
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

// wholeCase is a request of Whole.
type wholeCase struct {
	kind    int // of text
	size    int
	payload string // empty: the padding alone
	place   string
}

// whole sends attacks of each class through CRS and the model, each in every padding at a place that is drawn.
func (s *Padding) whole(ctx context.Context, texts []padding, attacks []Attack, report *PaddingReport) error {
	cases := s.cases(attacks)
	w, err := waf.New(waf.Config{Paranoia: s.Levels[0], Plugin: true, ModelPath: s.ModelPath})
	if err != nil {
		return err
	}
	cells := map[WholeCell]int{}
	type outcome struct {
		evaluation.Outcome
		err error
	}
	i := 0
	for o := range replay.Parallel(ctx, indexes(len(cases)), 0, func(i int) outcome {
		c := cases[i]
		text := texts[c.kind].around(c.payload, c.place, c.size, rand.New(rand.NewPCG(s.Seed, uint64(i))))
		out, err := evaluation.Replay(w, inForm(text))
		return outcome{out, err}
	}) {
		if o.err != nil {
			return o.err
		}
		if s.Advance != nil {
			s.Advance()
		}
		c := cases[i]
		i++
		entry(&report.Whole, cells, WholeCell{Text: texts[c.kind].name, Size: c.size, Level: s.Levels[0]}).add(c.payload != "", o.Outcome)
	}
	return ctx.Err()
}

func (c *WholeCell) add(attack bool, o evaluation.Outcome) {
	if !attack { // it comes first
		c.CRSAlone, c.Alone = o.CRSDenied, o.Denied
		return
	}
	c.Tried++
	switch {
	case o.Engine != 0:
		c.Refused++
	case o.CRSDenied:
		c.CRS++
	}
	if o.Denied {
		c.Denied++
		if !c.Alone {
			c.Untouched++
		}
	}
}

// Steps is how often Advance is called at most.
func (s *Padding) Steps() int { return len(s.Attacks) + len(s.cases(s.Attacks)) }

// cases lists what goes through CRS: of each text and size, the padding alone first.
func (s *Padding) cases(attacks []Attack) (cases []wholeCase) {
	if s.Whole == 0 {
		return nil
	}
	rng := rand.New(rand.NewPCG(s.Seed, 1))
	for kind := range paddingKinds {
		for _, size := range s.Sizes {
			if size > throughCRS {
				continue
			}
			cases = append(cases, wholeCase{kind: kind, size: size, place: "end"})
			taken := map[string]int{}
			for _, attack := range attacks {
				if taken[attack.Class]++; taken[attack.Class] <= s.Whole {
					cases = append(cases, wholeCase{kind, size, attack.Payload, pick(rng, paddingPlaces)})
				}
			}
		}
	}
	return cases
}

func pick(rng *rand.Rand, from []string) string { return from[rng.IntN(len(from))] }
