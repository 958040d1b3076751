// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/mlverdict/mlverdict/internal/exclusions"
)

// suggested is the contract of suggest-exclusions --format json.
type suggested struct {
	Model        string               `json:"model"`
	Paranoia     int                  `json:"paranoia_level"`
	Threshold    int                  `json:"threshold"`
	Requests     int                  `json:"requests"`
	Denied       int                  `json:"crs_denied"`
	Vetoed       int                  `json:"vetoed"`       // of these, cleared by the model
	Sites        int                  `json:"vetoed_sites"` // that these went to; 0 if unknown
	Unnamed      int                  `json:"vetoed_unnamed"`
	AttacksGiven int                  `json:"attacks"` // 0 if none were given
	Attacks      int                  `json:"attacks_crs"`
	Exclusions   []suggestedExclusion `json:"exclusions"`
	Explained    int                  `json:"explained"`     // vetoed requests that all exclusions together explain
	Passing      int                  `json:"replay_passes"` // of these, those that pass when CRS has the exclusions
	Losing       int                  `json:"replay_loses"`  // attacks that pass then
}

type suggestedExclusion struct {
	Directive string `json:"directive"`
	Rule      int    `json:"rule"`
	Message   string `json:"message"`
	SoFar     int    `json:"explains_so_far"`
	Alone     int    `json:"explains_alone"`
	Needed    int    `json:"needed_for"`
	Sites     int    `json:"sites"`
	Lost      int    `json:"attacks_lost_so_far"`
	LostAlone int    `json:"attacks_lost_alone"`
	LostThere int    `json:"attacks_lost_there"`

	exclusion exclusions.Exclusion
}

func (s *suggested) list(found []exclusions.Suggestion) {
	s.Exclusions = []suggestedExclusion{}
	for _, f := range found {
		s.Exclusions = append(s.Exclusions, suggestedExclusion{
			f.String(), f.Rule, exclusions.Message(f.Rule), f.SoFar, f.Alone, f.Needed, f.Sites, f.Lost, f.LostAlone, f.LostThere, f.Exclusion,
		})
		s.Explained = f.SoFar
	}
}

func (s *suggested) set() exclusions.Set {
	all := exclusions.Set{}
	for _, e := range s.Exclusions {
		all[e.exclusion] = true
	}
	return all
}

func (s *suggested) directives() string {
	var b strings.Builder
	for _, e := range s.Exclusions {
		b.WriteString(e.Directive + "\n")
	}
	return b.String()
}

func (s *suggested) print(w io.Writer, format string) error {
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(s)
	case "seclang":
		return s.seclang(w)
	}
	return s.table(w)
}

func (s *suggested) table(w io.Writer) error {
	fmt.Fprintf(w, "%s\n\n", strings.Join(s.head(), "\n"))
	if len(s.Exclusions) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "so far\talone\tneeded\tsites\tlost\tlost there\t")
	fmt.Fprintln(t, "  exclusion")
	for _, e := range s.Exclusions {
		fmt.Fprintf(t, "%d\t%d\t%d\t%s\t%s\t%s\t  %s\n", e.SoFar, e.Alone, e.Needed, s.onSites(e.Sites), s.lost(e.Lost), s.lost(e.LostThere), e.Directive)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", strings.Join(s.foot(), "\n"))
	return err
}

func (s *suggested) seclang(w io.Writer) error {
	fmt.Fprintf(w, "# Exclusions that mlverdict suggest-exclusions has found. Include this file after CRS's rules (@owasp_crs/*.conf):\n"+
		"# before them it would change nothing, or be an error. What is excluded is not guarded by that rule any more.\n#\n")
	for _, line := range append(s.head(), s.foot()...) {
		fmt.Fprintf(w, "# %s\n", line)
	}
	for _, e := range s.Exclusions {
		fmt.Fprintf(w, "\n# %d: %s\n# explains %d with those above, %d alone, is needed for %d", e.Rule, e.Message, e.SoFar, e.Alone, e.Needed)
		if s.Sites > 0 {
			fmt.Fprintf(w, "; sites: %s", s.onSites(e.Sites))
		}
		if s.AttacksGiven > 0 {
			fmt.Fprintf(w, "; attacks lost: %d with those above, %d if they all came there", e.Lost, e.LostThere)
		}
		fmt.Fprintf(w, "\n%s\n", e.Directive)
	}
	return nil
}

// head tells what the suggestions rest on.
func (s *suggested) head() []string {
	lines := []string{fmt.Sprintf("model %s, paranoia level %d, threshold %d: of %d requests CRS denies %d, and the model clears %d of them",
		s.Model, s.Paranoia, s.Threshold, s.Requests, s.Denied, s.Vetoed)}
	if s.AttacksGiven > 0 {
		lines = append(lines, fmt.Sprintf("of %d attacks CRS denies %d", s.AttacksGiven, s.Attacks))
	} else {
		lines = append(lines, "no attacks came with --attacks FILE: what the exclusions lose is not known")
	}
	switch {
	case s.Vetoed == 0:
		lines = append(lines, "nothing was vetoed: there is nothing to explain")
	case len(s.Exclusions) == 0:
		lines = append(lines, "no exclusion explains enough of these requests to be worth it")
	}
	return lines
}

// foot tells what all suggestions do together.
func (s *suggested) foot() (lines []string) {
	if len(s.Exclusions) > 0 {
		line := fmt.Sprintf("together they explain %d of %d; replayed with them, %d of these pass CRS", s.Explained, s.Vetoed, s.Passing)
		if s.AttacksGiven > 0 {
			line += fmt.Sprintf(", and %d of %d attacks", s.Losing, s.Attacks)
		}
		lines = append(lines, line)
	}
	if s.Unnamed > 0 {
		lines = append(lines, fmt.Sprintf("in %d vetoed requests a rule matched under a name that is too long or not text, which no target can hold", s.Unnamed))
	}
	return lines
}

func (s *suggested) onSites(n int) string {
	if s.Sites == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%d", n, s.Sites)
}

func (s *suggested) lost(n int) string {
	if s.AttacksGiven == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
