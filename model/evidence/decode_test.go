// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDecode(t *testing.T) {
	for _, row := range []struct{ name, in, want string }{
		{"plain text in lower case", "Hello World", "hello world"},
		{"percent", "%3CScript%3e", "<script>"},
		{"percent twice", "%253Cscript", "<script"},
		{"percent three times", "%25253Cscript", "<script"},
		{"no fourth round", "%2525253Cscript", "%3cscript"},
		{"percent cut short", "100%", "100%"},
		{"percent without digits", "50%zz", "50%zz"},
		{"percent-u", "%u003cimg", "<img"},
		{"percent-u full-width", "%uff1cimg", "<img"},
		{"named entity", "&lt;svg&Tab;onload&equals;1", "<svg\tonload=1"},
		{"unknown entity", "a&foo;b", "a&foo;b"},
		{"decimal entity", "&#60;a&#x3E;", "<a>"},
		{"decimal entity without semicolon", "&#0000060a", "<a"},
		{"entity without digits", "&#;&#x;", "&#;&#x;"},
		{"entity beyond Unicode", "&#9999999;", "&#9999999;"},
		{"JavaScript escapes", `\u003cimg\x3e`, "<img>"},
		{"overlong UTF-8", "..\xc0\xafetc", "../etc"},
		{"mixed nesting", "%26lt%3Bscript", "<script"},
		{"escaped capitals", "%53ELECT", "select"},
	} {
		t.Run(row.name, func(t *testing.T) {
			assert.Equal(t, row.want, string(appendDecoded(nil, row.in)))
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("%253Cscript&#x41;\\u0041\xc0\xaf%u00")
	f.Add(strings.Repeat("%25", 30) + "41")
	f.Fuzz(func(t *testing.T, s string) {
		prefix := []byte("kept")
		got := appendDecoded(prefix, s)
		assert.Equal(t, string(naiveDecoded(s)), string(got[4:]))
		assert.Equal(t, "kept", string(got[:4]))
		assert.LessOrEqual(t, len(got)-4, len(s), "decoding never makes a text longer")
		for _, c := range got[4:] {
			assert.False(t, 'A' <= c && c <= 'Z', "a capital letter is left in %q", got)
		}
	})
}
