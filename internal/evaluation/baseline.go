// SPDX-License-Identifier: Apache-2.0

package evaluation

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/mlverdict/mlverdict/internal/traffic"
)

// Verdict is what became of one request, without the request: a line of a baseline.
type Verdict struct {
	Digest    string `json:"request"` // SHA-256 of what the request says on the wire, hexadecimal
	CRSDenied bool   `json:"crs_denied"`
	Denied    bool   `json:"denied"`
	Refused   bool   `json:"refused,omitempty"` // by Coraza itself
}

// VerdictOf makes a baseline's line of an outcome.
func VerdictOf(row *traffic.Request, out Outcome) Verdict {
	digest := row.Digest()
	return Verdict{hex.EncodeToString(digest[:]), out.CRSDenied, out.Denied, out.Refused}
}

// word tells what became of the request.
func (v Verdict) word() string {
	switch {
	case v.Refused:
		return "refused by Coraza itself"
	case v.Denied && !v.CRSDenied:
		return "denied by the model alone"
	case v.Denied:
		return "denied"
	case v.CRSDenied:
		return "vetoed"
	}
	return "passed"
}

// Baseline holds a former evaluation's verdicts.
type Baseline struct{ verdicts map[string]Verdict }

// ReadBaseline reads JSON lines of verdicts, as evaluate --verdicts writes them.
func ReadBaseline(r io.Reader) (*Baseline, error) {
	b := &Baseline{map[string]Verdict{}}
	lines := json.NewDecoder(bufio.NewReader(r))
	for n := 1; ; n++ {
		var v Verdict
		err := lines.Decode(&v)
		switch {
		case err == io.EOF && n > 1:
			return b, nil
		case err == io.EOF:
			err = errors.New("there is none")
		case err == nil && v.Digest == "":
			err = errors.New("no request digest")
		}
		if err != nil {
			return nil, fmt.Errorf("evaluation: baseline, verdict %d: %w (want what evaluate --verdicts writes)", n, err)
		}
		b.verdicts[v.Digest] = v
	}
}

// Change is a request that another thing became of than in the baseline.
type Change struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Set    string `json:"set"`
	Label  string `json:"label"`
	Class  string `json:"class"`
	Before string `json:"before"`
	Now    string `json:"now"`
}

func (c Change) String() string {
	return fmt.Sprintf("%s:%d: %s %s %s: %s, now %s", c.File, c.Line, c.Set, c.Label, c.Class, c.Before, c.Now)
}

// Compare tells whether another thing became of a row than in the baseline.
func (b *Baseline) Compare(row *traffic.Request, v Verdict) (Change, bool) {
	change := Change{row.File, row.Line, row.Set, row.Label, row.Class, "not in the baseline", v.word()}
	if before, known := b.verdicts[v.Digest]; known {
		change.Before = before.word()
	}
	return change, change.Before != change.Now
}
