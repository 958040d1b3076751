// SPDX-License-Identifier: Apache-2.0

package traffic

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const get = `{"label":"benign","method":"GET","uri":"/"}` + "\n"

func TestReader(t *testing.T) {
	dir := t.TempDir()
	plain := write(t, dir, "a.jsonl", get+"oops\n\n  \r\n"+strings.TrimSpace(get))
	zipped := write(t, dir, "b.jsonl", compressed(t, get+get)) // gzip without the name
	whole := compressed(t, strings.Repeat(get, 5000))
	cut := write(t, dir, "c.gz", whole[:len(whole)-10])

	r, err := Open(plain, cut, zipped)
	require.NoError(t, err)
	defer r.Close()
	var lines []int
	var errs []string
	for req, err := range r.Requests() {
		if err != nil {
			errs = append(errs, strings.TrimPrefix(err.Error(), dir+string(filepath.Separator)))
		} else if req.File != cut {
			lines = append(lines, req.Line)
		}
	}
	assert.Equal(t, []int{1, 5, 1, 2}, lines, "rows before and after what is broken")
	require.Len(t, errs, 2)
	assert.Regexp(t, `^a\.jsonl:2: not JSON: `, errs[0])
	assert.Regexp(t, `^c\.gz:\d+: the gzip file is cut short here, and what follows is missing: unexpected EOF$`, errs[1])
	assert.Positive(t, r.Size())
	assert.Equal(t, r.Size(), r.Offset(), "all bytes are accounted for")
}

func TestReaderStopsWhenAsked(t *testing.T) {
	path := write(t, t.TempDir(), "a.jsonl", get+"oops\n"+get)
	r, err := Open(path, path)
	require.NoError(t, err)
	defer r.Close()
	n := 0
	for range r.Requests() {
		if n++; n == 2 {
			break
		}
	}
	assert.Equal(t, 2, n)
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	good := write(t, dir, "good.jsonl", get)
	for name, tc := range map[string]struct {
		paths []string
		want  string
	}{
		"no file":      {nil, "no request file given"},
		"missing":      {[]string{good, filepath.Join(dir, "none")}, "no such file"},
		"directory":    {[]string{dir}, "is a directory"},
		"empty":        {[]string{write(t, dir, "empty", "")}, "is empty (want one request a line, see docs/requests.md)"},
		"empty gzip":   {[]string{write(t, dir, "empty.gz", compressed(t, ""))}, "is empty"},
		"broken gzip":  {[]string{write(t, dir, "broken.gz", "\x1f\x8b\x00")}, "broken.gz: "},
		"stdin, twice": {[]string{"-", "-"}, "standard input (-) can be read only once"},
		"cut gzip":     {[]string{write(t, dir, "cut.gz", compressed(t, get)[:11])}, "cut short"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "stdin, twice" {
				stdin(t, get)
			}
			_, err := Open(tc.paths...)
			assert.ErrorContains(t, err, tc.want)
		})
	}
}

func TestReaderOfStdin(t *testing.T) {
	stdin(t, compressed(t, get+get))
	r, err := Open("-")
	require.NoError(t, err)
	defer r.Close()
	assert.EqualValues(t, -1, r.Size())
	var files []string
	for req, err := range r.Requests() {
		require.NoError(t, err)
		files = append(files, req.File)
	}
	assert.Equal(t, []string{"-", "-"}, files)
}

// Traffic may come without labels, payloads may not.
func TestReaderOfUnlabelled(t *testing.T) {
	stdin(t, `{"method":"GET","uri":"/a"}
{"method":"GET"}
{"payload":"1' or 1"}
{"label":"good","method":"GET","uri":"/"}
{"label":"attack","method":"GET","uri":"/b"}
`)
	r, err := Open("-")
	require.NoError(t, err)
	defer r.Close()
	r.Unlabelled = true
	var got []string
	for req, err := range r.Requests() {
		if err != nil {
			got = append(got, err.Error())
		} else {
			got = append(got, req.Label+" "+req.URI)
		}
	}
	assert.Equal(t, []string{"benign /a", "-:2: uri is missing",
		`-:3: label "" (want "benign" or "attack")`,
		`-:4: label "good" (want "benign" or "attack")`, "attack /b"}, got)
}

// What is no request file is handed over whole and read as rows no more; what is shorter than its head is a request file.
func TestReaderTake(t *testing.T) {
	dir := t.TempDir()
	rows, other := write(t, dir, "rows.jsonl", get+get), write(t, dir, "other", compressed(t, "OTHER\ncontent"))
	short := write(t, dir, "short", "OTH")
	stdin(t, "OTHER\nfrom a pipe")
	r, err := Open(other, rows, "-", short)
	require.NoError(t, err)
	defer r.Close()
	is := func(head []byte) bool { return string(head) == "OTHER\n" }
	taken := map[string]string{}
	others, err := r.Take(len("OTHER\n"), is, func(name string, content io.Reader) error {
		text, err := io.ReadAll(content)
		taken[name] = string(text)
		return err
	})
	require.NoError(t, err)
	assert.Equal(t, 2, others)
	assert.Equal(t, map[string]string{other: "OTHER\ncontent", "-": "OTHER\nfrom a pipe"}, taken)
	var files []string
	for req, err := range r.Requests() {
		if err != nil {
			assert.ErrorContains(t, err, "short:1: not JSON")
			continue
		}
		files = append(files, req.File)
	}
	assert.Equal(t, []string{rows, rows}, files)

	again, err := Open(other, rows)
	require.NoError(t, err)
	defer again.Close()
	_, err = again.Take(len("OTHER\n"), is, func(string, io.Reader) error { return io.ErrNoProgress })
	assert.ErrorIs(t, err, io.ErrNoProgress)
}

// TestLineTooLong feeds more than MaxLine without holding it.
func TestLineTooLong(t *testing.T) {
	long := io.LimitReader(neverEnding('x'), MaxLine+1)
	s, err := newSource("long", io.MultiReader(strings.NewReader(get), long, strings.NewReader("\n"+get)))
	require.NoError(t, err)
	var got []string
	s.requests(false, func(req *Request, err error) bool {
		if err != nil {
			got = append(got, err.Error())
		} else {
			got = append(got, req.URI)
		}
		return true
	})
	assert.Equal(t, []string{"/", "long:2: line is longer than 64 MiB", "/"}, got)
	assert.LessOrEqual(t, cap(s.buf), 2*MaxLine)
}

func TestWriter(t *testing.T) {
	for _, name := range []string{"out.jsonl", "out.jsonl.gz"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			rows := []*Request{
				{Label: Benign, Method: "POST", URI: "/", Headers: [][2]string{{"Host", "a"}}, Body: []byte("a<b")},
				{Label: Attack, Method: "POST", URI: "/", Body: []byte{0xff}},
				{Label: Attack, Class: "sqli", Payload: "' or 1"},
			}
			w, err := Create(path)
			require.NoError(t, err)
			for _, row := range rows {
				require.NoError(t, w.Write(row))
			}
			assert.NoFileExists(t, path, "nothing under the name before Close")
			require.NoError(t, w.Close())
			w.Discard()

			r, err := Open(path)
			require.NoError(t, err)
			defer r.Close()
			var got []*Request
			for req, err := range r.Requests() {
				require.NoError(t, err)
				req.File, req.Line = "", 0
				got = append(got, req)
			}
			assert.Equal(t, rows, got)
		})
	}
}

func TestWriterKeepsRowsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.jsonl")
	for _, mode := range []os.FileMode{0o600, 0o640} {
		w, err := Create(path)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, mode, info.Mode())
		require.NoError(t, os.Chmod(path, 0o640)) // which the next one keeps
	}
}

func TestWriterLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "taken")
	require.NoError(t, os.Mkdir(path, 0o755))
	w, err := Create(path)
	require.NoError(t, err)
	assert.Error(t, w.Close(), "a directory has the name")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1)

	_, err = Create(filepath.Join(dir, "none", "out.jsonl"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

type neverEnding byte

func (b neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

func compressed(t *testing.T, content string) string {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	_, err := z.Write([]byte(content))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return buf.String()
}

// stdin puts content on standard input for the length of the test.
func stdin(t *testing.T, content string) {
	t.Helper()
	file, err := os.Open(write(t, t.TempDir(), "stdin", content))
	require.NoError(t, err)
	real := os.Stdin
	os.Stdin = file
	t.Cleanup(func() { os.Stdin = real; file.Close() })
}
