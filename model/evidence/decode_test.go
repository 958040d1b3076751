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
		{"a form's field", "%3Bcat+%2Fetc%2Fpasswd", ";cat /etc/passwd"},
		{"a plus among blanks", "1 %2B 1+1", "1 + 1+1"},
		{"a plus without escapes", "1+1", "1+1"},
		{"a plus and no escape", "100%+1", "100%+1"},
		{"escaped capitals", "%53ELECT", "select"},
		{"Base64 of text", "q=PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==&x", "q=<script>alert(1)</script>&x"},
		{"Base64 for URLs, without padding", "PHNjcmlwdD5hbGVydCgnPz8_Jyk8L3NjcmlwdD4", "<script>alert('???')</script>"},
		{"the parts of a JSON Web Token", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJuYW1lIjoiSm9obiBEb2UifQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
			`{"alg":"hs256","typ":"jwt"}.{"name":"john doe"}.sflkxwrjsmekkf2qt4fwpmejf36pok6yjv_adqssw5c`},
		{"percent in Base64", "JTNDc2NyaXB0JTNFYWxlcnQoMSk=", "<script>alert(1)"},
		{"Base64 in a path", "/blog/Jy8qKi9vciAxPTEtLQ==/a", "/blog/'/**/or 1=1--/a"},
		{"Base64 at the end of a path", "/KGFsZXJ0KSgxKTs7OzA", "/(alert)(1);;;0"},
		{"a path of digits", "/assets/javascripts/frontendcomponents", "/assets/javascripts/frontendcomponents"},
		{"short Base64", "PHNjcmlwdD4=", "phnjcmlwdd4="},
		{"Base64 of binary data", "iVBORw0KGgoAAAANSUhEUgAAAAUA", "ivborw0kggoaaaansuheugaaaaua"},
		{"long words", "pneumonoultramicroscopicsilicovolcanoconiosis", "pneumonoultramicroscopicsilicovolcanoconiosis"},
	} {
		t.Run(row.name, func(t *testing.T) {
			assert.Equal(t, row.want, string(appendDecoded(nil, row.in)))
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("%253Cscript&#x41;\\u0041\xc0\xaf%u00")
	f.Add(strings.Repeat("%25", 30) + "41")
	f.Add("a=PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==;PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0PiA=.aaaaaaaaaaaaaaaaaaaaaaaaaaaa")
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
