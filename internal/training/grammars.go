// SPDX-License-Identifier: Apache-2.0

package training

import (
	_ "embed"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"

	"github.com/mlverdict/mlverdict/internal/traffic"
)

//go:embed grammars.txt
var grammarText string

// GrammarSet is the name of the set that payloads of [Grammars] belong to.
const GrammarSet = "grammars"

// sentences is how many texts are drawn from each template; those that come twice count once.
const sentences = 40

// Grammars yields attack payloads made by the grammars of this package: the same ones for the same seed.
func Grammars(seed uint64) iter.Seq[*traffic.Request] {
	return func(yield func(*traffic.Request) bool) {
		g := grammar{rng: rand.New(rand.NewPCG(seed, 3)), names: map[string]string{}}
		seen := map[string]struct{}{}
		for i, line := range strings.Split(grammarText, "\n") {
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			if name, template, ok := strings.Cut(line, " = "); ok && !strings.ContainsAny(name, " «") {
				g.names[name] = template
				continue
			}
			class, template, _ := strings.Cut(line, " ")
			for range sentences {
				text := g.say(template)
				if _, again := seen[text]; again {
					continue
				}
				seen[text] = struct{}{}
				if !yield(&traffic.Request{Set: GrammarSet, Origin: fmt.Sprint("grammar line ", i+1),
					Label: traffic.Attack, Class: class, Payload: text}) {
					return
				}
			}
		}
	}
}

// grammar draws texts from templates.
type grammar struct {
	rng   *rand.Rand
	names map[string]string
}

var controls = strings.NewReplacer("␍", "\r", "␊", "\n", "␀", "\x00", "␉", "\t")

// say draws a text.
func (g *grammar) say(template string) string {
	text, rest := g.choose(template)
	if rest != "" {
		panic("training: grammars.txt: » without «: " + template) // the file is part of this package, and a test reads it all
	}
	return controls.Replace(text)
}

// choose draws a text from the alternatives of a template, up to the » that closes them, and returns what follows it.
func (g *grammar) choose(template string) (text, rest string) {
	var alternatives []string
	var b strings.Builder
	for {
		i := strings.IndexAny(template, "«¦»")
		if i < 0 {
			b.WriteString(template)
			template = ""
			break
		}
		b.WriteString(template[:i])
		mark := template[i : i+2]
		template = template[i+2:]
		if mark == "»" {
			rest = template
			break
		}
		if mark == "¦" {
			alternatives = append(alternatives, b.String())
			b.Reset()
			continue
		}
		var inner string
		inner, template = g.choose(template)
		b.WriteString(inner)
	}
	alternatives = append(alternatives, b.String())
	text = alternatives[g.rng.IntN(len(alternatives))]
	if definition, ok := g.names[text]; ok {
		text, _ = g.choose(definition)
	}
	return text, rest
}
