// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/google/renameio/v2"

	"github.com/mlverdict/mlverdict/internal/evaluation"
	"github.com/mlverdict/mlverdict/internal/traffic"
)

// verdictLog compares verdicts with a former run's and writes them for the next one.
type verdictLog struct {
	baseline *evaluation.Baseline // nil for none
	changes  []evaluation.Change
	file     *renameio.PendingFile // nil for none
	out      *bufio.Writer
	err      error // of the first write that failed
}

// open reads the file baseline and begins the file verdicts, which must be none of the inputs; an empty path is none.
func (l *verdictLog) open(baseline, verdicts string, inputs []string) error {
	if baseline != "" {
		file, err := os.Open(baseline)
		if err != nil {
			return fmt.Errorf("evaluate: --baseline: %w", err)
		}
		defer file.Close()
		if l.baseline, err = evaluation.ReadBaseline(file); err != nil {
			return fmt.Errorf("%s: %w", baseline, err)
		}
	}
	if err := checkOutput("--verdicts", &verdicts, inputs...); err != nil {
		return err
	}
	if verdicts != "" {
		var err error
		if l.file, err = renameio.NewPendingFile(verdicts, renameio.WithPermissions(0o644), renameio.WithExistingPermissions()); err != nil {
			return fmt.Errorf("evaluate: --verdicts: %w", err)
		}
		l.out = bufio.NewWriter(l.file)
	}
	return nil
}

func (l *verdictLog) add(row *traffic.Request, out evaluation.Outcome) {
	v := evaluation.VerdictOf(row, out)
	if l.baseline != nil {
		if change, changed := l.baseline.Compare(row, v); changed {
			l.changes = append(l.changes, change)
		}
	}
	if l.out != nil && l.err == nil {
		l.err = json.NewEncoder(l.out).Encode(v)
	}
}

// close puts the file in place.
func (l *verdictLog) close() error {
	if l.out == nil || l.err != nil {
		return l.err
	}
	if err := l.out.Flush(); err != nil {
		return err
	}
	return l.file.CloseAtomicallyReplace()
}

// discard drops a file that was not put in place.
func (l *verdictLog) discard() {
	if l.file != nil {
		l.file.Cleanup()
	}
}
