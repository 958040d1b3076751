// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/mutate"
	"github.com/mlverdict/mlverdict/internal/robustness"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/request"
)

// sectionOptions are those of every suite on attacks and models.
type sectionOptions struct {
	seed     uint64
	format   string
	markdown string
	skipped  error // rows that could not be used
}

// flags declares them; note ends the help of --format.
func (o *sectionOptions) flags(cmd *cobra.Command, note string) {
	o.format = "markdown"
	f := cmd.Flags()
	f.Uint64Var(&o.seed, "seed", 1, "seed of every random choice")
	f.Var(&choice{&o.format, []string{"markdown", "json"}}, "format", "output `FORMAT`: markdown or json"+note)
	f.StringVar(&o.markdown, "markdown", "", "page `FILE` whose section on this suite to write anew, too")
}

// suiteOptions are those of every suite that takes attacks.
type suiteOptions struct {
	sectionOptions
	model  string
	levels []int
}

func (o *suiteOptions) flags(cmd *cobra.Command, levels []int) {
	o.sectionOptions.flags(cmd, ", which quotes payloads")
	f := cmd.Flags()
	modelFlag(cmd, &o.model)
	f.IntSliceVar(&o.levels, "paranoia", levels, "paranoia `LEVELS` of CRS")
}

// load reads the model and the payloads of the attacks in the files. With mutable, only those that can be mutated.
func (o *suiteOptions) load(files []string, stderr io.Writer, mutable bool) (*model.Model, []robustness.Attack, error) {
	if err := checkOutput("--markdown", &o.markdown, slices.Concat(files, []string{o.model})...); err != nil {
		return nil, nil, err
	}
	m, err := loadModel(o.model)
	if err != nil {
		return nil, nil, err
	}
	attacks, err := o.attacks(files, stderr, mutable)
	return m, attacks, err
}

func (o *suiteOptions) attacks(files []string, stderr io.Writer, mutable bool) ([]robustness.Attack, error) {
	slices.Sort(o.levels)
	o.levels = slices.Compact(o.levels)
	for _, level := range o.levels {
		if level < 1 || level > request.ParanoiaLevels {
			return nil, usagef("--paranoia %d: want levels from 1 to %d", level, request.ParanoiaLevels)
		}
	}
	if len(o.levels) == 0 {
		return nil, usagef("--paranoia: no level given (want some of 1 to %d)", request.ParanoiaLevels)
	}
	reader, err := traffic.Open(files...)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	rows := newRows(reader, stderr, "reading")
	var found robustness.Attacks
	for row := range rows.all() {
		rows.advance()
		found.Add(row)
	}
	rows.finish()
	o.skipped = rows.err()
	list := o.usable(&found, stderr)
	if mutable {
		list = o.mutable(list, stderr)
	}
	if len(list) == 0 {
		return nil, errors.Join(o.skipped, errNoAttack)
	}
	return list, nil
}

var errNoAttack = errors.New("no attack that this suite can use in these files (want rows labelled attack, see docs/requests.md)")

// usable lists what was found and says what was left out.
func (o *sectionOptions) usable(found *robustness.Attacks, stderr io.Writer) []robustness.Attack {
	if found.LeftOut > 0 {
		fmt.Fprintf(stderr, "mlverdict: %d attacks left out: their payload does not stand alone in one argument\n", found.LeftOut)
	}
	return found.List
}

// mutable lists the attacks that can be mutated and says what was left out.
func (o *sectionOptions) mutable(attacks []robustness.Attack, stderr io.Writer) (list []robustness.Attack) {
	for _, a := range attacks {
		if _, _, ok := mutate.Any(mutate.For(a.Class), a.Payload, o.rng()); ok {
			list = append(list, a)
		}
	}
	if n := len(attacks) - len(list); n > 0 {
		fmt.Fprintf(stderr, "mlverdict: %d payloads left out: no mutator finds a place in them (there are some for %s)\n", n, strings.Join(mutate.Classes(), ", "))
	}
	return list
}

// rng draws which attacks are used.
func (o *sectionOptions) rng() *rand.Rand { return rand.New(rand.NewPCG(o.seed, 0)) }

// suiteReport is what a suite measured.
type suiteReport interface{ Markdown(command string) string }

// write prints a report and puts it into the page.
func (o *sectionOptions) write(stdout io.Writer, suite string, r suiteReport, command string) error {
	page := r.Markdown(command)
	var err error
	if o.format == "json" {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		err = e.Encode(r)
	} else {
		_, err = io.WriteString(stdout, page)
	}
	return errors.Join(err, putSection(o.markdown, suite, page), o.skipped)
}

// command is the command line that gives the same figures, but for the names of folders.
func (o *suiteOptions) command(suite, flags string, files []string) string {
	line := fmt.Sprintf("mlverdict robustness %s --seed %d --paranoia %s %s", suite, o.seed,
		strings.Trim(strings.ReplaceAll(fmt.Sprint(o.levels), " ", ","), "[]"), flags)
	for _, file := range files {
		line += " " + filepath.Base(file)
	}
	return line
}
