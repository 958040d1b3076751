// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/mlverdict/mlverdict/internal/augment"
)

// padding is one kind of text, longer than any that is needed.
type padding struct{ name, text string }

// around puts size bytes of the text around a payload, with a blank between them and, unlike the contexts of augment, none at
// either end: many rules look for a payload that begins or ends a value.
func (p *padding) around(payload, place string, size int, rng *rand.Rand) string {
	at := rng.IntN(len(p.text) - size + 1)
	text := p.text[at : at+size]
	switch place {
	case "start":
		return payload + " " + text
	case "end":
		return text + " " + payload
	}
	return text[:size/2] + " " + payload + " " + text[size/2:]
}

// paddingMarks are the special characters.
const paddingMarks = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

// paddingKinds are the kinds of text; each draws a piece.
var paddingKinds = []struct {
	name string
	draw func(*rand.Rand) string
}{
	{"ascii", func(rng *rand.Rand) string { return letters(rng, 1+rng.IntN(9)) + " " }},
	{"json", func(rng *rand.Rand) string {
		return fmt.Sprintf(`{"%s":"%s","%s":%d,"%s":[true,null]},`, letters(rng, 4), letters(rng, 8), letters(rng, 5), rng.IntN(10000), letters(rng, 3))
	}},
	{"special", func(rng *rand.Rand) string { return string(paddingMarks[rng.IntN(len(paddingMarks))]) }},
	{"base64", func(rng *rand.Rand) string { return base64.StdEncoding.EncodeToString([]byte(letters(rng, 48))) }},
	{"html", func(rng *rand.Rand) string {
		return fmt.Sprintf("<div class=\"%s\"><p>%s <b>%s</b></p></div>\n", letters(rng, 6), letters(rng, 7), letters(rng, 5))
	}},
	{"markov", markovText},
}

// markovText draws a text of a chain of the paragraphs' characters, order 4.
func markovText(rng *rand.Rand) string {
	for text := range paragraphChain().Texts(augment.Lengths{Typical: 400, Most: 400}, rng) {
		return text + " "
	}
	return ""
}

var paragraphChain = sync.OnceValue(func() *augment.Markov {
	chain, err := augment.LearnMarkov(paragraphs, augment.Characters, 4)
	if err != nil {
		panic(err) // the order is a constant
	}
	return chain
})

// paddingTexts makes the texts, each size bytes long.
func paddingTexts(size int, seed uint64) (list []padding) {
	for i, kind := range paddingKinds {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		var b strings.Builder
		for b.Len() < size {
			b.WriteString(kind.draw(rng))
		}
		list = append(list, padding{kind.name, b.String()[:size]})
	}
	return list
}

// paragraphs are what the Markov chain learns from.
var paragraphs = []string{
	"The market opens early on Saturday and the first visitors arrive before the bakers have put out their bread.",
	"We moved the meeting to Thursday afternoon; please bring the printed report and the list of open questions.",
	"Her letter described the long way across the hills, the rain in the valley and the small house by the river.",
	"The bicycle is in good condition, has been serviced last month and comes with a lock, a pump and two lamps.",
	"If the parcel has not arrived within five days, write to us with your order number and we will look for it.",
	"After the concert everybody walked down to the harbour, where the last ferry was waiting with its lights on.",
}

// letters returns a random word.
func letters(rng *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + rng.IntN(26))
	}
	return string(b)
}
