// SPDX-License-Identifier: Apache-2.0

package mutate_test

import (
	"encoding/base64"
	"html"
	"math/rand/v2"
	"net/url"
	"os/exec"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/mutate"
)

// Engines, a module of its own, holds SQL and scripts to their promises.

// holds mutates each payload step by step, from many seeds, and checks every step. Each mutator must have been tried.
func holds(t *testing.T, mutators []mutate.Mutator, payloads []string, seeds, steps int, check func(original, mutated string) bool) {
	t.Helper()
	tried := map[string]int{}
	for i, original := range payloads {
		for seed := range seeds {
			rng := rand.New(rand.NewPCG(uint64(seed), uint64(i)))
			payload, names := original, []string{}
			for range steps {
				mutated, name, ok := mutate.Any(mutators, payload, rng)
				if !ok {
					break
				}
				require.NotEqual(t, payload, mutated, "%s changed nothing", name)
				payload, names = mutated, append(names, name)
				tried[name]++
				require.True(t, check(original, payload), "from %q\nto   %q\nby %v", original, payload, names)
			}
		}
	}
	for _, m := range mutators {
		assert.GreaterOrEqual(t, tried[m.Name], 5, "%s was hardly tried", m.Name)
	}
}

func named(class string, names ...string) (list []mutate.Mutator) {
	for _, m := range mutate.For(class) {
		for _, name := range names {
			if strings.HasPrefix(m.Name, name) {
				list = append(list, m)
			}
		}
	}
	return list
}

var samples = map[string]string{
	"sqli": "1' or 1=1 -- ", "xss": `<img src=x onerror="alert(1)">`, "rce": ";cat /etc/hosts", "lfi": "../../etc/passwd",
	"php": "<?php system('id'); ?>", "ssti": "{{7*7}}", "log4shell": "${jndi:ldap://x}",
}

func TestEveryClassHasMutators(t *testing.T) {
	seen := map[string]bool{}
	for _, class := range mutate.Classes() {
		require.NotEmpty(t, mutate.For(class), class)
		for _, m := range mutate.For(class) {
			assert.Equal(t, class, m.Class, m.Name)
			assert.NotEmpty(t, m.Preserves, m.Name)
			assert.False(t, seen[m.Name], "two are called %s", m.Name)
			seen[m.Name] = true
		}
		mutated, _, ok := mutate.Any(mutate.For(class), samples[class], rand.New(rand.NewPCG(1, 1)))
		assert.True(t, ok, class)
		assert.NotEqual(t, samples[class], mutated)
	}
	assert.Empty(t, mutate.For("protocol"))
}

func TestSameSeedSamePayload(t *testing.T) {
	for class, sample := range samples {
		run := func(seed uint64) string {
			rng, payload := rand.New(rand.NewPCG(seed, 0)), sample
			for range 30 {
				payload, _, _ = mutate.Any(mutate.For(class), payload, rng)
			}
			return payload
		}
		assert.Equal(t, run(1), run(1), class)
		assert.NotEqual(t, run(1), run(2), class)
	}
}

// A mutated payload stays short, whatever is done to it, and one that is too long already is left alone.
func TestLongest(t *testing.T) {
	for class, sample := range samples {
		rng, payload := rand.New(rand.NewPCG(3, 3)), sample
		for range 300 {
			payload, _, _ = mutate.Any(mutate.For(class), payload, rng)
		}
		assert.LessOrEqual(t, len(payload), mutate.Longest, class)
	}
	long := "' or 1=1 -- " + strings.Repeat("x", mutate.Longest)
	_, _, ok := mutate.Any(named("sqli", "sql-comment-text"), long, rand.New(rand.NewPCG(1, 1)))
	assert.False(t, ok)
}

// Any bytes are mutated or let alone; nothing fails.
func FuzzMutators(f *testing.F) {
	for _, sample := range samples {
		f.Add(sample, uint64(1))
	}
	f.Add("<a b='\"><script>`${{'\\", uint64(2))
	f.Fuzz(func(t *testing.T, payload string, seed uint64) {
		for _, class := range mutate.Classes() {
			for _, m := range append(mutate.For(class), mutate.Encodings()...) {
				mutated, ok := m.Apply(payload, rand.New(rand.NewPCG(seed, 0)))
				if ok == (mutated == payload) {
					t.Fatalf("%s says %v: %q to %q", m.Name, ok, payload, mutated)
				}
			}
		}
	})
}

// Paths lead to the same place.
func TestPathsStayClean(t *testing.T) {
	payloads := []string{"../../../etc/passwd", "/etc/passwd", "./../x/y", "..//../etc/hosts", "/var/www/../../etc/shadow", "a/b", "../../etc/passwd\x00.png",
		`..\..\windows\win.ini`, `C:\boot.ini`}
	asSlashes := func(windows string) string { return path.Clean(strings.ReplaceAll(windows, `\`, "/")) }
	holds(t, mutate.For("lfi"), payloads, 40, 10, func(original, mutated string) bool {
		return asSlashes(original) == asSlashes(mutated)
	})
	for range 20 {
		mutated, _, ok := mutate.Any(mutate.For("lfi"), "file:///etc/passwd", rand.New(rand.NewPCG(4, 4)))
		require.True(t, ok)
		assert.Equal(t, "/etc/passwd", path.Clean(strings.TrimPrefix(mutated, "file://")))
	}
}

// A shell prints the same. The commands are echo, printf, cat, ls and the like on files that every system has.
func TestShellPrintsTheSame(t *testing.T) {
	sh, err := exec.LookPath("sh")
	require.NoError(t, err, "the tests need a POSIX shell")
	payloads := []string{
		"; echo summer sale", ";echo a b;echo c", "x$(echo yes)y", "`echo old`", "| cat", "; cat /dev/null; echo done", "&& echo and ; echo more",
		"'; echo out; echo '", "\n echo line two\n", "$(printf same)", "|| echo never", "; (echo sub shell)", "; echo one # tail", ";/bin/echo by path",
		";cat /etc/passwd /dev/null | wc -l", "; cat /etc/passwd", "; echo $(echo in here) $HOME", `; echo "quoted words" tail`, "| tr a-z A-Z",
	}
	output := func(payload string) string {
		script := "echo start" + payload
		if strings.HasPrefix(payload, "'") {
			script = "echo 'start" + payload + "'"
		}
		out, err := exec.Command(sh, "-c", script).Output()
		if err != nil {
			return err.Error()
		}
		return string(out)
	}
	wants := map[string]string{}
	holds(t, mutate.For("rce"), payloads, 12, 3, func(original, mutated string) bool {
		if _, ok := wants[original]; !ok {
			wants[original] = output(original)
			require.NotContains(t, wants[original], "exit status", "%q does not work", original)
		}
		return wants[original] == output(mutated)
	})
}

// What is no command in a shell, or stands in quotes, is left alone.
func TestShellLeavesAlone(t *testing.T) {
	for _, payload := range []string{"cats and dogs", "it's; fine", "print(`x`)", `; grep "; cat /x" 'cat /y'`, "category;id=3", "x;category"} {
		for _, m := range mutate.For("rce") {
			for seed := range uint64(10) {
				mutated, ok := m.Apply(payload, rand.New(rand.NewPCG(seed, 0)))
				if ok {
					assert.Contains(t, mutated, `"; cat /x" 'cat /y'`, m.Name)
				}
			}
		}
	}
}

// lookup is how Log4j 2 resolves what is left of a name after the lookups within it.
var lookup = regexp.MustCompile(`\$\{(?:(lower|upper):([^${}]*)|[^${}]*?:-([^${}]*))\}`)

func resolve(payload string) string {
	for {
		next := lookup.ReplaceAllStringFunc(payload, func(text string) string {
			m := lookup.FindStringSubmatch(text)
			switch m[1] {
			case "lower":
				return strings.ToLower(m[2])
			case "upper":
				return strings.ToUpper(m[2])
			}
			return m[3]
		})
		if next == payload {
			break
		}
		payload = next
	}
	name, rest, _ := strings.Cut(payload, ":")
	return strings.ToLower(name) + ":" + rest
}

func TestLookupsResolveTheSame(t *testing.T) {
	payloads := []string{"${jndi:ldap://shop.example/a}", "${jndi:rmi:/shop.example}", "${${lower:j}ndi:dns://shop.example}", "${j${::-n}di:ldaps://x}"}
	holds(t, mutate.For("log4shell"), payloads, 40, 8, func(original, mutated string) bool {
		return resolve(original) == resolve(mutated)
	})
}

// Without blanks and the words in front, a template is what it was.
func TestTemplatesKeepTheirExpressions(t *testing.T) {
	payloads := []string{"{{7*7}}", "${3+4}", "<%= 7*7 %>", "{{ ''.__class__ }}", "a{{config}}b", "#{1*2}"}
	bare := func(text string) string { return strings.Join(strings.Fields(text), "") }
	holds(t, mutate.For("ssti"), payloads, 30, 8, func(original, mutated string) bool {
		return strings.HasSuffix(bare(mutated), bare(original))
	})
}

// A program without its comments, joined strings and case calls the same functions.
func TestPHPCallsTheSame(t *testing.T) {
	payloads := []string{"<?php system('id'); ?>", "phpinfo()", "exec('cat /etc/passwd', $out)", "fopen('shell.php','w')"}
	comments := regexp.MustCompile(`/\*[^*]*\*/|#[^\n]*\n|\s+`)
	bare := func(text string) string {
		text = comments.ReplaceAllString(strings.ToLower(text), "")
		text = strings.ReplaceAll(text, "'.'", "")
		return regexp.MustCompile(`\('(\w+)'\)\(`).ReplaceAllString(text, "$1(")
	}
	holds(t, mutate.For("php"), payloads, 30, 8, func(original, mutated string) bool {
		return bare(original) == bare(mutated)
	})
}

var hexadecimal = regexp.MustCompile(`%u([0-9a-f]{4})|\\u([0-9a-f]{4})|\\x([0-9a-f]{2})`)

// The decoder that an encoding names gives the payload back, and nested ones do one by one.
func TestEncodingsDecode(t *testing.T) {
	unescape := func(text string) (string, error) {
		return hexadecimal.ReplaceAllStringFunc(text, func(m string) string {
			n, _ := strconv.ParseUint(m[2:], 16, 32)
			return string(rune(n))
		}), nil
	}
	decoders := map[string]func(string) (string, error){
		"percent": url.PathUnescape, "percent-u": unescape, "unicode": unescape, "hexadecimal": unescape,
		"entities": func(s string) (string, error) { return html.UnescapeString(s), nil },
		"base64": func(s string) (string, error) {
			b, err := base64.StdEncoding.DecodeString(s)
			return string(b), err
		},
	}
	payload, rng := "<a href='x'>é & 1=1 -- \x01", rand.New(rand.NewPCG(5, 5))
	for _, outer := range mutate.Encodings() {
		for _, inner := range mutate.Encodings() {
			once, ok := inner.Apply(payload, rng)
			require.True(t, ok)
			twice, ok := outer.Apply(once, rng)
			require.True(t, ok)
			back, err := decoders[outer.Name](twice)
			require.NoError(t, err)
			require.Equal(t, once, back, "%s of %s", outer.Name, inner.Name)
			back, err = decoders[inner.Name](back)
			require.NoError(t, err)
			assert.Equal(t, payload, back, inner.Name)
		}
	}
}
