// SPDX-License-Identifier: Apache-2.0

// Command validation makes sets to choose by: DATA INTO takes the files that train and tune from folder DATA, holds out sites,
// templates, sources of payloads and rules of them, and writes folder INTO, in which what is held out stands where the
// test stands in DATA. make train and make scoreboard take it as they take DATA. No row that tests in DATA gets there, so
// whoever chooses by INTO still knows nothing of the test.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mlverdict/mlverdict/internal/augment"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/training"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("validation: ")
	if len(os.Args) != 3 {
		log.Fatal("want two folders: that of the request files, and a new one, such as data and validation")
	}
	if err := write(os.Args[1], os.Args[2], os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// renamed gives a group another name, and so another half. A digest, because halves go by the last bit of FNV, which a prefix
// turns over for all of them or for none.
func renamed(group string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte("split/"+group)))
}

// file is a request file that is made of one of DATA's: take says which rows go there, and may change them.
type file struct {
	from, to string
	take     func(*traffic.Request) bool
}

// files lists them; rng draws where in its request a payload stands.
func files(rng *rand.Rand) []file {
	return []file{
		{"benign-browsing-train", "benign-browsing-train", all},
		{"benign-api", "benign-api", all},
		{"benign-browsing-dev", "benign-browsing-dev", func(r *traffic.Request) bool {
			tunes := training.HalfOf(r) == training.Tune
			r.Site = renamed(r.Site)
			return tunes
		}},
		{training.HardSet, training.HardSet, func(r *traffic.Request) bool {
			trains := training.TrainsOn(r)
			template, line, _ := strings.Cut(r.Src, "#")
			r.Src = renamed(template) + "#" + line
			return trains
		}},
		{"payloads-train", "payloads-train", func(r *traffic.Request) bool { return !holdsOut(r) }},
		{"attack-crs-regression-train", "attack-crs-regression-train", func(r *traffic.Request) bool { return !testsRule(r.Rule) }},
		{"attack-crs-regression-train", "attack-crs-regression", func(r *traffic.Request) bool { return testsRule(r.Rule) }},
		{"payloads-train", "attack-mgm", func(r *traffic.Request) bool {
			held := holdsOut(r)
			if held {
				class, origin, src := r.Class, r.Origin, r.Src
				*r = *augment.Alone(r.Payload, rng)
				r.Label, r.Class, r.Origin, r.Src = traffic.Attack, class, origin, src
			}
			return held
		}},
	}
}

func all(*traffic.Request) bool { return true }

// holdsOut holds out two of the sources of payloads, which test each in a request of its own.
func holdsOut(payload *traffic.Request) bool {
	return payload.Origin == "modsec-learn" || payload.Origin == "httpparams"
}

// testsRule holds out half of the rules.
func testsRule(rule int) bool { return renamed(strconv.Itoa(rule))[0] < '8' }

// write makes the files in a new folder, or nothing, and prints how many rows each has.
func write(data, into string, out io.Writer) (err error) {
	if err := os.Mkdir(into, 0o755); err != nil {
		return fmt.Errorf("%w (want a folder that is not there yet)", err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(into)
		}
	}()
	for _, f := range files(rand.New(rand.NewPCG(1, 1))) {
		rows, err := read(data, f.from, f.take)
		if err != nil {
			return err
		}
		if err := save(into, f.to, rows, out); err != nil {
			return err
		}
	}
	return nil
}

// read returns the rows of a file that take takes.
func read(folder, name string, take func(*traffic.Request) bool) (rows []*traffic.Request, err error) {
	reader, err := traffic.Open(filepath.Join(folder, name+".jsonl.gz"))
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	for row, err := range reader.Requests() {
		if err != nil {
			return nil, err
		}
		row.Set = name
		if take(row) {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func save(folder, name string, rows []*traffic.Request, out io.Writer) error {
	w, err := traffic.Create(filepath.Join(folder, name+".jsonl.gz"))
	if err != nil {
		return err
	}
	for _, row := range rows {
		row.Set = name
		if err := w.Write(row); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s: %d rows\n", filepath.Join(folder, name+".jsonl.gz"), len(rows))
	return err
}
