// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// tokens cuts a text into the pieces that its tokens cover.
func tokens(text string) (pieces []string) {
	for rest := []byte(text); len(rest) > 0; {
		_, _, n := next(rest)
		pieces, rest = append(pieces, string(rest[:n])), rest[n:]
	}
	return pieces
}

func TestTokens(t *testing.T) {
	assert.Equal(t, []string{"1", "' ", "or", " \t", "sleep", "(", "5", ")", "-", "-"}, tokens("1' or \tsleep(5)--"))
	assert.Equal(t, []string{"xp_cmdshell", "\r\n", "0x4f2a", "é", "\x00", "."}, tokens("xp_cmdshell\r\n0x4f2aé\x00."))
}

func TestAMarkTakesTheBlanksBesideIt(t *testing.T) {
	assert.Equal(t, []string{"a", " = ", "b"}, tokens("a = b"))
	assert.Equal(t, []string{"\t( ", ")  ", "; "}, tokens("\t( )  ; "), "those between two marks belong to the first")
	assert.Equal(t, []string{"a", " ", "b", " "}, tokens("a b "), "without a mark they are a token")
	assert.Equal(t, []string{"a", " \n ", "=", "\n", "b"}, tokens("a \n =\nb"), "line breaks are a token everywhere")
	assert.Equal(t, []string{"é", "' ", "\n", "x"}, tokens("é' \nx"))
	shapes := func(text string) (all []token) {
		for rest := []byte(text); len(rest) > 0; {
			_, tok, n := next(rest)
			all, rest = append(all, tok), rest[n:]
		}
		return all
	}
	assert.Equal(t, shapes("1'or 2>1,x=(3)"), shapes("1 ' or 2 > 1 ,\tx =  ( 3 )"), "blanks beside marks say nothing")
	assert.NotEqual(t, shapes("a b"), shapes("ab"))
}

func TestShapes(t *testing.T) {
	shapeOf := func(text string) token { _, tok, _ := next([]byte(text)); return tok }
	for _, row := range []struct {
		name string
		a, b string
		same bool
	}{
		{"numbers of like length", "1234", "9876", true},
		{"numbers of other length", "1", "9876", false},
		{"unknown words of like length", "hello", "worlds", true},
		{"hexadecimal against mixed", "deadbeef1", "zzzzzzzz1", false},
		{"blank against line break", " ", "\n", false},
		{"punctuation is itself", "'", "\"", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			assert.Equal(t, row.same, shapeOf(row.a) == shapeOf(row.b))
		})
	}
	word, _, _ := next([]byte("select"))
	assert.NotZero(t, word, "a word may be known")
	word, _, _ = next([]byte("1234"))
	assert.Zero(t, word, "a number is never a word")
}

func FuzzNext(f *testing.F) {
	f.Add([]byte("1' or 1=1--\x00\xff_a9"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for rest := text; len(rest) > 0; {
			word, tok, n := next(rest)
			if n < 1 || n > len(rest) {
				t.Fatalf("token of %d bytes in %q", n, rest)
			}
			if tok == 0 || tok >= 1<<31 || word != 0 && word < 1<<31 {
				t.Fatalf("shapes %#x and words %#x overlap in %q", tok, word, rest[:n])
			}
			rest = rest[n:]
		}
	})
}
