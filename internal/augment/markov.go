// SPDX-License-Identifier: Apache-2.0

package augment

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Unit is what a Markov chain goes by.
type Unit string

// The units.
const (
	Characters Unit = "characters"
	Tokens     Unit = "tokens" // runs of letters and digits, runs of blanks, single marks
)

// MaxOrder is the longest memory of a Markov chain, in units.
const MaxOrder = 6

// maxSuccessors bounds what a Markov chain remembers: pairs of a context and a unit that followed it. Those met after it
// are forgotten.
const maxSuccessors = 2 << 20

// Markov is a Markov chain of text: each unit is drawn by how often it followed the Order units before it. The higher the
// order, the more a text looks like those that the chain was learned from, and from some order on it is pieces of them.
type Markov struct {
	unit  Unit
	order int
	next  map[string]*successors
}

// successors of a context; the empty unit ends a text.
type successors struct {
	counts map[string]int
	units  []string // by name
	upTo   []int    // sums of counts
}

// LearnMarkov learns a chain of an order, 1 to MaxOrder, from texts.
func LearnMarkov(texts []string, unit Unit, order int) (*Markov, error) {
	if order < 1 || order > MaxOrder {
		return nil, fmt.Errorf("augment: a Markov chain of order %d (want 1 to %d)", order, MaxOrder)
	}
	m := &Markov{unit: unit, order: order, next: map[string]*successors{}}
	if !slices.ContainsFunc(texts, func(text string) bool { return text != "" }) {
		return nil, errors.New("augment: no text to learn a Markov chain from")
	}
	known := 0
	for _, text := range texts {
		var context []string
		for u := range units(text, unit) {
			known += m.count(context, u, known < maxSuccessors)
			context = m.shift(context, u)
		}
		known += m.count(context, "", known < maxSuccessors)
	}
	for _, s := range m.next {
		s.units = slices.SortedFunc(maps.Keys(s.counts), cmp.Compare[string])
		sum := 0
		for _, u := range s.units {
			sum += s.counts[u]
			s.upTo = append(s.upTo, sum)
		}
		s.counts = nil
	}
	return m, nil
}

// count counts a unit after a context, and returns 1 if that is new.
func (m *Markov) count(context []string, u string, mayGrow bool) int {
	key := strings.Join(context, "\x00")
	s := m.next[key]
	if s == nil {
		if !mayGrow {
			return 0
		}
		s = &successors{counts: map[string]int{}}
		m.next[key] = s
	}
	if s.counts[u] == 0 && !mayGrow {
		return 0
	}
	s.counts[u]++
	if s.counts[u] == 1 {
		return 1
	}
	return 0
}

func (m *Markov) shift(context []string, u string) []string {
	if len(context) == m.order {
		context = context[1:]
	}
	return append(context, u)
}

// Texts yields texts without end, none of them empty, each at most as many units long as lengths says or as the chain
// ends it.
func (m *Markov) Texts(lengths Lengths, rng *rand.Rand) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			if text := m.text(lengths.Most, rng); text != "" && !yield(text) {
				return
			}
		}
	}
}

func (m *Markov) text(most int, rng *rand.Rand) string {
	var b strings.Builder
	var context []string
	for range most {
		s := m.next[strings.Join(context, "\x00")]
		if s == nil { // forgotten
			break
		}
		at, _ := slices.BinarySearch(s.upTo, 1+rng.IntN(s.upTo[len(s.upTo)-1]))
		if s.units[at] == "" {
			break
		}
		b.WriteString(s.units[at])
		context = m.shift(context, s.units[at])
	}
	return b.String()
}

// units cuts a text.
func units(text string, unit Unit) iter.Seq[string] {
	return func(yield func(string) bool) {
		for text != "" {
			n := 0
			if kind := kindOf(text); unit == Tokens && kind != mark {
				for n < len(text) && kindOf(text[n:]) == kind {
					_, size := utf8.DecodeRuneInString(text[n:])
					n += size
				}
			} else {
				_, n = utf8.DecodeRuneInString(text)
			}
			if !yield(text[:n]) {
				return
			}
			text = text[n:]
		}
	}
}

// kinds of characters.
const (
	mark = iota
	blank
	letter
)

func kindOf(text string) int {
	switch r, _ := utf8.DecodeRuneInString(text); {
	case unicode.IsSpace(r):
		return blank
	case unicode.IsLetter(r), unicode.IsDigit(r), r == '_':
		return letter
	}
	return mark
}
