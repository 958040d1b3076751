// SPDX-License-Identifier: Apache-2.0

package mutate

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Encodings lists the encodings of a whole payload. Each works only where the application undoes it; applied one after
// the other they nest.
func Encodings() []Mutator { return encodings }

var encodings = []Mutator{
	encoding("percent", "percent-decodes the value once more", escaping("%%%02x")),
	encoding("percent-u", "decodes %uXXXX, as IIS does", escaping("%%u%04x")),
	encoding("entities", "decodes HTML character references", escaping("&#x%x;")),
	encoding("unicode", `decodes \uXXXX, as JSON and JavaScript do`, escaping(`\u%04x`)),
	encoding("hexadecimal", `decodes \xXX, as JavaScript, PHP and Python do`, escaping(`\x%02x`)),
	encoding("base64", "decodes Base64", func(payload string, _ *rand.Rand) string {
		return base64.StdEncoding.EncodeToString([]byte(payload))
	}),
}

func encoding(name, assumed string, encode func(string, *rand.Rand) string) Mutator {
	return Mutator{Name: name, Preserves: "the payload, where the application " + assumed,
		Apply: func(payload string, rng *rand.Rand) (string, bool) {
			encoded := encode(payload, rng)
			if len(encoded) > Longest || encoded == payload {
				return payload, false
			}
			return encoded, true
		}}
}

// escaping writes each ASCII byte that is neither letter nor digit, and every eighth of the others, in the format.
func escaping(format string) func(string, *rand.Rand) string {
	return func(payload string, rng *rand.Rand) string {
		var b strings.Builder
		for _, c := range []byte(payload) {
			if c >= 0x80 || plain(c) && rng.IntN(8) != 0 {
				b.WriteByte(c)
				continue
			}
			fmt.Fprintf(&b, format, c)
		}
		return b.String()
	}
}
