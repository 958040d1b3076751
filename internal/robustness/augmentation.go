// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"context"
	"fmt"
	"slices"

	"github.com/mlverdict/mlverdict/internal/scoreboard"
	"github.com/mlverdict/mlverdict/internal/training"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/request"
)

// Augmentation holds a model that was trained without data augmentation against one that was trained with it: in every suite
// of this package, and on the test of the scoreboard. The suites come ready to run but for their model.
type Augmentation struct {
	Before, After Candidate
	Seed          uint64
	Noise         Noise // texts alone
	Padding       Padding
	Mutation      Mutation
	Adversarial   Adversarial // defences with the second verdict
	Data          *scoreboard.Data

	// Progress is called before each part with its number of steps, -1 if unknown; what it returns, from any goroutine,
	// after some steps more.
	Progress func(part string, steps int) (advance func(int))
}

// Candidate is a model and its file, empty for the embedded one.
type Candidate struct {
	Model *model.Model
	Path  string
}

// AugmentationReport is what was measured.
type AugmentationReport struct {
	Before  string   `json:"before"` // id of the model
	After   string   `json:"after"`
	Seed    uint64   `json:"seed"`
	Figures []Figure `json:"figures"`
}

// Figure is one figure of both models.
type Figure struct {
	Part   string  `json:"part"`
	What   string  `json:"what"`
	Level  int     `json:"paranoia_level"`
	Unit   Unit    `json:"unit"`
	Before Measure `json:"before"`
	After  Measure `json:"after"`
}

// Unit is what a figure is.
type Unit string

// The units. Of bad shares the lower is better, of the others the higher.
const (
	BadShare  Unit = "share, lower is better"
	GoodShare Unit = "share, higher is better"
	Score     Unit = "score, higher is better"
)

// Measure is a share of so many, or a score on so many: none measured means no figure.
type Measure struct {
	Value float64 `json:"value"`
	Of    int     `json:"of"`
}

func shareOf(n, of int) Measure { return Measure{float64(n) / float64(max(of, 1)), of} }

// The parts.
const (
	noisePart       = "noise"
	paddingPart     = "padding"
	mutationPart    = "mutation"
	adversarialPart = "adversarial search"
	classesPart     = "classes"
	hardPart        = "hard negatives"
	detectionPart   = "detection"
)

// Run measures both models. The figures of both are the same ones in the same order.
func (s *Augmentation) Run(ctx context.Context) (*AugmentationReport, error) {
	before, err := s.measure(ctx, "before", s.Before)
	if err != nil {
		return nil, err
	}
	after, err := s.measure(ctx, "after", s.After)
	if err != nil {
		return nil, err
	}
	for i := range before {
		before[i].After = after[i].Before
	}
	return &AugmentationReport{s.Before.Model.ID(), s.After.Model.ID(), s.Seed, before}, nil
}

// measure takes the figures of one model; it puts them where those of the first model stand.
func (s *Augmentation) measure(ctx context.Context, name string, c Candidate) ([]Figure, error) {
	progress := func(part string, steps int) func(int) { return s.Progress(name+": "+part, steps) }

	noise := s.Noise
	noise.Model, noise.Advance = c.Model, progress(noisePart, len(s.Noise.Families)*s.Noise.Texts)
	noises, err := noise.Run(ctx)
	if err != nil {
		return nil, err
	}
	padding := s.Padding
	padding.Model, padding.ModelPath = c.Model, c.Path
	padding.Advance = one(progress(paddingPart, padding.Steps()))
	padded, err := padding.Run(ctx)
	if err != nil {
		return nil, err
	}
	mutation := s.Mutation
	mutation.Model, mutation.Advance = c.Model, one(progress(mutationPart, len(mutation.Attacks)))
	mutated, err := mutation.Run(ctx)
	if err != nil {
		return nil, err
	}
	search := s.Adversarial
	search.Model, search.ModelPath = c.Model, c.Path
	search.Advance = progress(adversarialPart, len(search.Attacks)*search.Budget*len(search.Defences))
	searched, err := search.Run(ctx)
	if err != nil {
		return nil, err
	}
	progress("scoreboard", -1)
	board := scoreboard.New(s.Data, c.Model)
	board.Measure(s.Data, []scoreboard.Contender{scoreboard.Judged(secondVerdict, "", c.Model)})
	board.Ask(s.Data, c.Model)
	return slices.Concat(noises.figures(), padded.figures(s.Padding.Levels, s.Padding.Sizes), mutated.figures(s.Mutation.Levels),
		searched.figures(), classFigures(board), boardFigures(board)), ctx.Err()
}

// one makes a function that advances by a step of one that advances by many.
func one(advance func(int)) func() { return func() { advance(1) } }

// secondVerdict is the contender's name.
const secondVerdict = "mlverdict"

func (r *NoiseReport) figures() (list []Figure) {
	for _, f := range r.Families {
		list = append(list, Figure{Part: noisePart, What: f.Family + " taken for an attack", Level: request.ParanoiaLevels, Unit: BadShare,
			Before: shareOf(f.Alone.Flagged, f.Alone.Texts)})
	}
	return list
}

func (r *PaddingReport) figures(levels, sizes []int) (list []Figure) {
	for _, level := range levels {
		denied, attacks := 0, 0
		for _, c := range r.Bare {
			if c.Level == level {
				denied, attacks = denied+c.Denied, attacks+c.Attacks
			}
		}
		list = append(list, Figure{Part: paddingPart, What: "payloads denied bare", Level: level, Unit: GoodShare, Before: shareOf(denied, attacks)})
	}
	for _, length := range []struct {
		name  string
		short bool
	}{{fmt.Sprintf("of those of up to %d bytes", Short), true}, {"of longer ones", false}} {
		for _, size := range sizes {
			for _, level := range levels {
				denied, tried := 0, 0
				for _, c := range r.Views {
					if c.Level == level && c.Size == size && c.Short == length.short {
						denied, tried = denied+c.Denied, tried+c.Tried
					}
				}
				list = append(list, Figure{Part: paddingPart, What: fmt.Sprintf("%s, still denied in %d kB", length.name, size/1000), Level: level,
					Unit: GoodShare, Before: shareOf(denied, tried)})
			}
		}
	}
	return list
}

func (r *MutationReport) figures(levels []int) (list []Figure) {
	for _, steps := range MutationSteps {
		for _, level := range levels {
			kept, attacks := 0, 0
			for _, c := range r.Cells {
				if c.Kind == RandomMutations && c.Level == level && c.Variant == fmt.Sprint(steps) {
					kept, attacks = kept+c.Kept, attacks+c.Attacks
				}
			}
			list = append(list, Figure{Part: mutationPart, What: fmt.Sprintf("still denied, mutations: %d", steps), Level: level, Unit: GoodShare,
				Before: shareOf(kept, attacks)})
		}
	}
	return list
}

func (r *AdversarialReport) figures() (list []Figure) {
	var evaded, cleared []Figure
	for _, total := range r.totals() {
		denied := total.Attacks - total.Passes
		evaded = append(evaded, Figure{Part: adversarialPart, What: "denied attacks that evade", Level: total.Level, Unit: BadShare,
			Before: shareOf(total.Evades, denied)})
		cleared = append(cleared, Figure{Part: adversarialPart, What: "of the denied, cleared by the model", Level: total.Level, Unit: BadShare,
			Before: shareOf(total.ByModel, denied)})
	}
	return append(evaded, cleared...)
}

// classFigures are those of the class tables: precision, recall and F1 of the article's classes, and the averages.
func classFigures(board *scoreboard.Result) (list []Figure) {
	add := func(what string, tables [scoreboard.Levels][]scoreboard.ClassReport, class string, value func(scoreboard.ClassReport) float64) {
		for i, table := range tables {
			for _, c := range table {
				if c.Class == class {
					list = append(list, Figure{Part: classesPart, What: what, Level: i + 1, Unit: Score, Before: Measure{value(c), c.Requests}})
				}
			}
		}
	}
	f1 := func(c scoreboard.ClassReport) float64 { return c.F1 }
	for _, c := range board.Article[0] {
		if c.Class != scoreboard.MacroAverage && c.Class != scoreboard.WeightedAverage {
			add(c.Class+", precision", board.Article, c.Class, func(c scoreboard.ClassReport) float64 { return c.Precision })
			add(c.Class+", recall", board.Article, c.Class, func(c scoreboard.ClassReport) float64 { return c.Recall })
		}
		add(c.Class+", F1", board.Article, c.Class, f1)
	}
	add("all classes, "+scoreboard.MacroAverage+", F1", board.Classes, scoreboard.MacroAverage, f1)
	return list
}

// boardFigures are the shares of whole test sets that CRS and the model both deny at the default threshold.
func boardFigures(board *scoreboard.Result) (list []Figure) {
	for _, set := range board.Whole(1) {
		part, unit := detectionPart, GoodShare
		if set.Benign() {
			unit = BadShare
		}
		if set.Set == training.HardSet {
			part = hardPart
		}
		for level := 1; level <= scoreboard.Levels; level++ {
			for _, row := range board.Whole(level) {
				if row.Set == set.Set && row.Label == set.Label {
					list = append(list, Figure{Part: part, What: fmt.Sprintf("%s (%s) denied", row.Set, row.Label), Level: level, Unit: unit,
						Before: shareOf(row.Contenders[secondVerdict][scoreboard.Tuned].Denied, row.Requests-row.Engine)})
				}
			}
		}
	}
	return list
}
