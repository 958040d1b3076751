// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/rivals"
	"github.com/mlverdict/mlverdict/internal/scoreboard"
)

type scoreboardOptions struct {
	measureOptions
	output     string
	markdown   string
	images     string
	mistakes   string
	manifest   string
	contenders []string
	export     string
	exclusions string
	scores     string
	keep       string
}

func newScoreboardCommand() *cobra.Command {
	var o scoreboardOptions
	cmd := &cobra.Command{
		Use:   "scoreboard DIR",
		Short: "hold the second verdict against its rivals",
		Long: `Scoreboard replays the request files in DIR, or finds them in the cache, and measures what the model and its rivals let
through and keep of what CRS denies, at every paranoia level, under one fixed protocol: one half of the sites tunes, the
other half tests; attacks come from sources that nothing was trained on.

DIR holds request files (docs/requests.md) of these names, .jsonl or .jsonl.gz; benign-browsing-dev must be there:
  ` + strings.Join(scoreboard.Files(), "\n  ") + `

The result is JSON. The same data and model give the same bytes. An interrupted run finds in the cache
what it has replayed; the measuring begins anew.`,
		Example: `  mlverdict scoreboard data
  mlverdict scoreboard --model site.model -o scoreboard.json --markdown results.md --images img data`,
		Args: scoreboardFolder,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), args[0])
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "JSON `FILE` to write (default: standard output)")
	f.StringVar(&o.markdown, "markdown", "", "`FILE` to write the tables to")
	f.StringVar(&o.images, "images", "", "`DIR` to write the plots to, SVG")
	f.StringVar(&o.mistakes, "mistakes", "", "`FILE` to write the worst mistakes to, for report; it quotes requests")
	f.StringVar(&o.manifest, "manifest", "", "`FILE` that lists the rows the model was trained on (default: beside the model FILE)")
	f.StringSliceVar(&o.contenders, "contender", nil, "measure these `NAMES` only: "+strings.Join(contenderNames, ", "))
	f.StringVar(&o.export, "export-vectors", "", "write vectors for scripts/one_class.py to `DIR`, and no result")
	f.StringVar(&o.exclusions, "exclusions", "", "`DIR` to write the excluded rules to as SecLang, those that clear 99 % in tuning")
	f.StringVar(&o.scores, "scores", "", "`FILE` with the scores of scripts/one_class.py: its rivals take part")
	f.StringVar(&o.keep, "keep", "", "`FILE` of a former result on the same data: take its other contenders' figures over")
	o.declare(cmd)
	return cmd
}

// scoreboardFolder is the argument check of the commands that read a scoreboard's folder.
func scoreboardFolder(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("want one folder with request files such as benign-browsing-dev.jsonl.gz (mlverdict scoreboard --help lists them)")
	}
	return nil
}

func (o *scoreboardOptions) run(ctx context.Context, stdout, stderr io.Writer, dir string) error {
	for _, name := range o.contenders {
		if o.scores == "" && !slices.Contains(contenderNames, name) {
			return usagef("scoreboard: unknown contender %q (want %s, or one of --scores)", name, strings.Join(contenderNames, ", "))
		}
	}
	if err := o.checkOutputs(dir); err != nil {
		return err
	}
	former, err := o.former()
	if err != nil {
		return err
	}
	m, cache, err := o.open()
	if err != nil {
		return err
	}
	defer cache.Close()
	data, err := loadScoreboard(ctx, cache, stderr, dir)
	if err != nil {
		return err
	}
	if err := o.checkLeaks(data); err != nil {
		return err
	}
	stage := func(what string) { fmt.Fprintf(stderr, "mlverdict: scoreboard: %s\n", what) }
	stage("putting training attacks into training requests")
	league, err := newLeague(ctx, o.contenders, data, m, cache)
	if err != nil {
		return err
	}
	if o.export != "" {
		if league.material == nil {
			return fmt.Errorf("scoreboard: --export-vectors: %s has no training traffic to make vectors of "+
				"(want benign-browsing-train.jsonl.gz or benign-api.jsonl.gz there, and best payloads-train.jsonl.gz, too)", dir)
		}
		return rivals.Export(o.export, data, m, league.material)
	}
	stage("building the contenders")
	contenders, err := league.contenders(o.scores)
	if err != nil {
		return err
	}
	stage("judging the test")
	result := scoreboard.New(data, m)
	result.Measure(data, contenders)
	stage("loading the excluded rules into CRS")
	if err := league.replay(ctx, result, o.exclusions); err != nil {
		return err
	}
	stage("adapting to each site")
	if err := result.MeasureSites(data, league.adapters()); err != nil {
		return err
	}
	result.Ask(data, m)
	if former != nil {
		if err := result.Keep(former); err != nil {
			return err
		}
	}
	if o.mistakes != "" {
		text, err := scoreboard.FindMistakes(data, m).JSON()
		if err != nil {
			return err
		}
		if err := renameio.WriteFile(o.mistakes, text, 0o600); err != nil {
			return err
		}
	}
	return o.write(stdout, result)
}

// checkOutputs refuses what could not be written. The result may take the place of the former one, which was read before.
func (o *scoreboardOptions) checkOutputs(dir string) error {
	inputs, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return err
	}
	inputs = append(inputs, o.model, o.manifestFile(), o.scores)
	withFormer := append(inputs, o.keep)
	if err := cmp.Or(
		checkOutput("--output", &o.output, inputs...),
		checkOutput("--markdown", &o.markdown, withFormer...),
		checkOutput("--mistakes", &o.mistakes, withFormer...),
		checkFolder("--images", o.images), checkFolder("--exclusions", o.exclusions), checkFolder("--export-vectors", o.export)); err != nil {
		return err
	}
	return checkDistinct(output{"--output", o.output}, output{"--markdown", o.markdown}, output{"--mistakes", o.mistakes})
}

// former reads the result of --keep; nil without one.
func (o *scoreboardOptions) former() (*scoreboard.Result, error) {
	if o.keep == "" {
		return nil, nil
	}
	return scoreboard.Read(o.keep)
}

// loadScoreboard reads the folder of a scoreboard.
func loadScoreboard(ctx context.Context, cache *replay.Cache, stderr io.Writer, dir string) (*scoreboard.Data, error) {
	return scoreboard.Load(dir, func(file string, f func(*replay.Recorded)) error {
		return eachRecording(ctx, cache, stderr, filepath.Base(file), []string{file}, f)
	})
}

// checkLeaks compares the test with the model's manifest.
func (o *scoreboardOptions) checkLeaks(data *scoreboard.Data) error {
	path := o.manifestFile()
	if path == "" {
		data.Notes = append(data.Notes, "No --manifest was given: nobody checked that the embedded model was not trained on the test.")
		return nil
	}
	return checkLeaks(data, path)
}

func (o *scoreboardOptions) manifestFile() string { return cmp.Or(o.manifest, manifestOf(o.model)) }

// manifestOf is the manifest that train wrote beside a model, or beside the file that a link leads to. The embedded one, which
// has no name, has no file beside it.
func manifestOf(model string) string {
	if model == "" {
		return ""
	}
	if target, err := filepath.EvalSymlinks(model); err == nil {
		model = target
	}
	return strings.TrimSuffix(model, ".model") + ".manifest.gz"
}

// checkLeaks compares the test with a manifest.
func checkLeaks(data *scoreboard.Data, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("scoreboard: the model's manifest: %w (want what mlverdict train wrote beside the model)", err)
	}
	defer file.Close()
	manifest, err := scoreboard.ReadManifest(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return data.Leaks(manifest)
}

// write writes the result, its tables and its plots, each whole or not at all.
func (o *scoreboardOptions) write(stdout io.Writer, r *scoreboard.Result) error {
	text, err := r.JSON()
	if err != nil {
		return err
	}
	if o.output == "" {
		_, err = stdout.Write(text)
	} else {
		err = renameio.WriteFile(o.output, text, 0o644)
	}
	if err != nil {
		return err
	}
	if o.images != "" {
		if err := writePlots(o.images, r); err != nil {
			return err
		}
	}
	if o.markdown == "" {
		return nil
	}
	images := ""
	if o.images != "" {
		if images, err = seenFrom(o.markdown, o.images); err != nil {
			return fmt.Errorf("scoreboard: --images: %w", err)
		}
	}
	page, err := r.Markdown(filepath.ToSlash(images))
	if err != nil {
		return err
	}
	return renameio.WriteFile(o.markdown, []byte(page), 0o644)
}

// seenFrom is a folder's path in a file's links.
func seenFrom(file, folder string) (string, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return "", err
	}
	return filepath.Rel(filepath.Dir(file), folder)
}

func writePlots(dir string, r *scoreboard.Result) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for level := 1; level <= scoreboard.Levels; level++ {
		for name, plot := range map[string]func(int) ([]byte, error){"roc": r.PlotCurves, "scores": r.PlotScores} {
			image, err := plot(level)
			if err != nil {
				return err
			}
			if err := renameio.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-pl%d.svg", name, level)), image, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
