// SPDX-License-Identifier: Apache-2.0

package explanation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/mlverdict/mlverdict/internal/verdict"
)

// Marks stand around what is highlighted in a text.
type Marks struct{ Open, Close string }

// The marks for files and pipes, and those for terminals: bold and inverse (ECMA-48).
var (
	Brackets = Marks{"[[", "]]"}
	Terminal = Marks{"\x1b[1;7m", "\x1b[0m"}
)

// JSON writes the explanation as JSON.
func (e *Explanation) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(e)
}

// Text writes the explanation for people.
func (e *Explanation) Text(w io.Writer, m Marks) error {
	var b bytes.Buffer
	t := table(&b)
	fmt.Fprintf(t, "request\t%s\n", e.Request)
	for _, line := range e.Summary() {
		fmt.Fprintf(t, "%s\t%s\n", line.Name, line.Text)
	}
	fmt.Fprintf(t, "why\t%s\n", e.Why)
	t.Flush()
	if j := e.Model; j != nil {
		if j.Reads {
			j.textValues(&b, m)
			j.textRules(&b)
		}
		j.textForest(&b)
		j.textScale(&b)
	}
	_, err := w.Write(blanks.ReplaceAll(b.Bytes(), nil))
	return err
}

// blanks are those that a tabwriter leaves behind a line.
var blanks = regexp.MustCompile(`(?m) +$`)

// Summary is the verdict's without its reason, which Why has.
func (e *Explanation) Summary() []verdict.Line {
	return slices.DeleteFunc(e.Verdict.Summary(), func(l verdict.Line) bool { return l.Name == "reason" })
}

func table(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

func (j *Judgement) textValues(w io.Writer, m Marks) {
	fmt.Fprintf(w, "\nText: how much likelier each value's most suspicious stretch is in attacks than in normal traffic, in nats.\n")
	t := table(w)
	for _, v := range j.Values {
		if !v.Read {
			continue
		}
		text := v.Before
		if v.Stretch != "" {
			text += m.Open + v.Stretch + m.Close + v.After
		}
		fmt.Fprintf(t, "  %.1f\t%s\t%s\t%s\n", v.Evidence, v.Label, v.Note(), text)
	}
	t.Flush()
	if unread := j.Unread(); unread != "" {
		fmt.Fprintf(w, "  not read, as the model reads headers only where CRS flags them: %s\n", unread)
	}
}

// Note says what else there is to a value that was read.
func (v *Value) Note() string {
	var notes []string
	if v.Flagged {
		notes = append(notes, "flagged by CRS")
	}
	if v.Worth < v.Evidence {
		notes = append(notes, fmt.Sprintf("counts %.1f, usual on this site", v.Worth))
	}
	return strings.Join(notes, ", ")
}

// Unread names the values that were not read.
func (j *Judgement) Unread() string {
	var labels []string
	for _, v := range j.Values {
		if !v.Read {
			labels = append(labels, v.Label)
		}
	}
	return strings.Join(labels, ", ")
}

func (j *Judgement) textRules(w io.Writer) {
	if len(j.Rules) == 0 {
		fmt.Fprintf(w, "\nRules: none of CRS matched.\n")
		return
	}
	fmt.Fprintf(w, "\nRules of CRS that matched, and how often they match normal requests. Surprise and novelty in nats.\n")
	t := table(w)
	fmt.Fprintf(t, "  rule\tsurprise\tnovelty\tnormal\ton\n")
	for _, r := range j.Rules {
		surprise, novelty := "–", "–"
		if r.Weighed {
			surprise, novelty = fmt.Sprintf("%.1f", r.Surprise), fmt.Sprintf("%.1f", r.Novelty)
		}
		fmt.Fprintf(t, "  %d\t%s\t%s\t%s\t%s\n", r.ID, surprise, novelty, r.Often(), r.Where())
	}
	t.Flush()
	for _, r := range j.Rules {
		fmt.Fprintf(w, "  %d  %s\n", r.ID, r.Message)
	}
}

// Often tells how often the rule matches normal requests.
func (r *Rule) Often() string {
	if r.Rate == 0 {
		return "never"
	}
	return percent(r.Rate)
}

// maxOn bounds the values named beside a rule.
const maxOn = 4

// Where tells on which values the rule matched.
func (r *Rule) Where() string {
	switch n := len(r.On); {
	case n == 0:
		return "no value"
	case n > maxOn:
		return strings.Join(r.On[:maxOn], ", ") + fmt.Sprintf(" and %d more", n-maxOn)
	}
	return strings.Join(r.On, ", ")
}

// percent writes a share with two digits.
func percent(share float64) string { return fmt.Sprintf("%.2g %%", 100*share) }

func (j *Judgement) textForest(w io.Writer) {
	fmt.Fprintf(w, "\nForest: what each feature adds to the margin, in %s (Shapley values; above 0 is an attack's side).\n", j.Unit)
	t := table(w)
	fmt.Fprintf(t, "  normal traffic on average\t\t%+.2f\n", j.Base)
	for _, f := range j.Features {
		fmt.Fprintf(t, "  %s\t%.1f\t%+.2f\n", f.Name, f.Value, f.Adds)
	}
	fmt.Fprintf(t, "  margin\t\t%+.2f\tan anomaly of %.4f\n", j.Margin, j.Anomaly)
	t.Flush()
}

func (j *Judgement) textScale(w io.Writer) {
	fmt.Fprintf(w, "\nScale at paranoia level %d: of the normal requests that CRS flags, how many score as low or lower.\n", j.Paranoia)
	t := table(w)
	fmt.Fprintf(t, "  score\tanomaly from\tnormal requests\n")
	for _, r := range j.Reference() {
		note := ""
		if r.Here {
			note = "this request: " + j.Band
		}
		fmt.Fprintf(t, "  %d\t%.4f\t%s\t%s\n", r.Score, r.Anomaly, percent(r.Share), note)
	}
	t.Flush()
}

// Point is a line of the scale.
type Point struct {
	Mark
	Here bool // it is the request's
}

// Reference is the scale with the request's own place in it, by rising score.
func (j *Judgement) Reference() (list []Point) {
	here := Point{Mark{j.Score, j.Anomaly, j.Share}, true}
	placed := false
	for _, m := range j.Scale {
		if !placed && j.Score <= m.Score {
			list, placed = append(list, here), true
		}
		list = append(list, Point{Mark: m})
	}
	if !placed {
		list = append(list, here)
	}
	return list
}
