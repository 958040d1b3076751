// SPDX-License-Identifier: Apache-2.0

package scoreboard

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/training"
	"github.com/mlverdict/mlverdict/model/request"
)

// role is what the rows of a file are for.
type role string

const (
	trains role = "train"             // what the rivals learn from
	halves role = "tune/test by site" // one half of the sites tunes, the other one tests
	parts  role = "train/test by source"
	tests  role = "test"
	aside  role = "side comparison" // reported, and in no sum
)

// The sets that the protocol names one by one.
const (
	browsing   = "benign-browsing-dev"
	regression = "attack-crs-regression"
	gotestwaf  = "attack-gotestwaf"
	csic       = "csic2010"
)

// files are the request files that the scoreboard looks for in its folder, by name without .jsonl or .jsonl.gz.
var files = []struct {
	name string
	role role
}{
	{"benign-browsing-train", trains}, {"benign-api", trains}, {"payloads-train", trains}, {"attack-crs-regression-train", trains},
	{browsing, halves}, {training.HardSet, parts},
	{"attack-mgm", tests}, {gotestwaf, tests}, {regression, tests}, {csic, aside},
}

// Files lists the names of these files.
func Files() (names []string) {
	for _, file := range files {
		names = append(names, file.name)
	}
	return names
}

// Sample is a request as CRS left it at paranoia level 4.
type Sample struct {
	*traffic.Request
	View    request.View
	Refused bool // by Coraza itself: it is counted, and in no share
}

// Data is the traffic of a scoreboard, each row on one side of the split.
type Data struct {
	Normal   []Sample           // trains: normal requests
	Attacks  []Sample           // trains: whole requests that attack
	Payloads []*traffic.Request // trains: bare payloads
	Tuning   []Sample           // normal requests that fix every cut
	Test     []Sample           // what is reported

	Corpus training.Corpus // Normal, Attacks, Payloads and Tuning once more, ready to train on
	Sets   []Set
	Notes  []string // what is missing, and what follows
}

// Set says what a file gave.
type Set struct {
	Name    string         `json:"set"`
	Role    string         `json:"role"`
	Train   int            `json:"train,omitempty"`   // rows that train the rivals
	Tune    int            `json:"tune,omitempty"`    // rows that fix the cuts
	Test    int            `json:"test,omitempty"`    // rows that are reported
	Engine  int            `json:"engine,omitempty"`  // of the rows: refused by Coraza itself
	Ignored int            `json:"ignored,omitempty"` // CRS's own tests that only promise that one rule stays silent
	Known   map[string]int `json:"known,omitempty"`   // dropped from the test, by class: the payload is in training
}

// ReadFunc hands the recordings of a request file over in order.
type ReadFunc func(file string, f func(*replay.Recorded)) error

// Load reads the files of a folder that the scoreboard knows by name. A missing one is noted; without normal requests
// to tune and test on there is no scoreboard.
func Load(dir string, read ReadFunc) (*Data, error) {
	if _, err := os.ReadDir(dir); err != nil {
		return nil, fmt.Errorf("scoreboard: %w (name the folder with the request files)", err)
	}
	d := &Data{}
	known := payloadTexts{}
	for payload := range training.Grammars(training.Defaults().Seed) {
		rec := replay.Recorded{Request: payload}
		d.train(&rec, Sample{Request: payload}, known)
	}
	for _, file := range files {
		path, ok := find(dir, file.name)
		if !ok {
			d.Notes = append(d.Notes, fmt.Sprintf("%s is not there: what rests on it is left out.", file.name))
			continue
		}
		set := Set{Name: file.name, Role: string(file.role)}
		err := read(path, func(rec *replay.Recorded) {
			rec.Request.Set = file.name // what a row is for is a matter of the file, whatever it says itself
			d.take(rec, file.role, &set, known)
		})
		if err != nil {
			return nil, fmt.Errorf("scoreboard: %s: %w", file.name, err)
		}
		d.Sets = append(d.Sets, set)
	}
	if len(d.Tuning) == 0 || !slices.ContainsFunc(d.Test, func(s Sample) bool { return s.Set == browsing }) {
		return nil, fmt.Errorf("scoreboard: %s has no %s.jsonl.gz with sites of both halves: nothing to tune and to test on (mlverdict scoreboard --help lists the files)",
			dir, browsing)
	}
	return d, nil
}

func find(dir, name string) (path string, ok bool) {
	for _, ending := range []string{".jsonl.gz", ".jsonl"} {
		path = filepath.Join(dir, name+ending)
		if _, err := os.Stat(path); err == nil {
			return path, true
		}
	}
	return "", false
}

// take puts a row on its side. The training files come first, so that known is complete when a test is read.
func (d *Data) take(rec *replay.Recorded, role role, set *Set, known payloadTexts) {
	s := Sample{rec.Request, rec.View, rec.Refused}
	if s.Refused {
		set.Engine++
	}
	benign := s.Label == traffic.Benign
	switch {
	case s.Set == regression && benign:
		set.Ignored++
	case role == trains || role == parts && training.TrainsOn(s.Request):
		set.Train++
		d.train(rec, s, known)
	case role == halves && training.HalfOf(s.Request) == training.Tune:
		set.Tune++
		d.Tuning = append(d.Tuning, s)
		d.Corpus.AddTuning(rec)
	case !benign && role != aside && known.holds(&s.View):
		if set.Known == nil {
			set.Known = map[string]int{}
		}
		set.Known[s.Class]++
	default:
		set.Test++
		d.Test = append(d.Test, s)
	}
}

func (d *Data) train(rec *replay.Recorded, s Sample, known payloadTexts) {
	switch {
	case s.Label == traffic.Benign:
		d.Normal = append(d.Normal, s)
		d.Corpus.AddNormal(rec)
		return
	case s.IsPayload():
		d.Payloads = append(d.Payloads, s.Request)
	default:
		d.Attacks = append(d.Attacks, s)
	}
	before := len(d.Corpus.Attacks)
	d.Corpus.AddAttack(rec)
	for _, a := range d.Corpus.Attacks[before:] {
		known.add(a.Text)
	}
}

// class is what a row is reported under: the class of an attack; for normal requests how they came about.
func (s *Sample) class() string {
	switch {
	case s.Label == traffic.Attack:
		return s.Class
	case s.Kind != "":
		return s.Kind
	case s.App != "":
		return s.Origin
	}
	return s.Pick
}

// order is the number after '#' in src: the place of a row in its recording.
func (s *Sample) order() int {
	_, number, _ := strings.Cut(s.Src, "#")
	n, _ := strconv.Atoi(number) // rows without one keep the file's order
	return n
}

// Flagged reports whether CRS alone denies the request at a paranoia level.
func (s *Sample) Flagged(level int) bool {
	v := s.View.AtParanoia(level)
	return !s.Refused && v.Denied()
}

// Counted reports whether the request is in the sums: the side comparison is not.
func (s *Sample) Counted() bool { return s.Set != csic }
