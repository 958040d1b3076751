// SPDX-License-Identifier: Apache-2.0

package traffic

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"sync/atomic"
)

// MaxLine bounds one line of a request file, in bytes.
const MaxLine = 64 << 20

// Error is a row that could not be read, or a file that could not be read any further.
type Error struct {
	File string
	Line int // counted from 1
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Reader reads rows from files of JSON lines, one line at a time: its memory does not grow with the files.
type Reader struct {
	Unlabelled bool // rows may have no label: such a request counts as normal

	files  []*source
	size   int64
	offset atomic.Int64
}

// Open opens files of JSON lines, plain or gzipped (the content decides, not the name); "-" is standard input. A file
// that is missing, a directory or empty is an error here, before anything is read.
func Open(paths ...string) (*Reader, error) {
	if len(paths) == 0 {
		return nil, errors.New("traffic: no request file given (want files of JSON lines, or - for standard input)")
	}
	r := &Reader{}
	for i, path := range paths {
		if path == "-" && slices.Contains(paths[:i], "-") {
			r.Close()
			return nil, errors.New("traffic: standard input (-) can be read only once")
		}
		src, size, err := r.open(path)
		if err != nil {
			r.Close()
			return nil, err
		}
		r.files = append(r.files, src)
		if r.size += size; size < 0 {
			r.size = -1
		}
	}
	return r, nil
}

// open returns the file and its size in bytes, -1 where that is unknown.
func (r *Reader) open(path string) (*source, int64, error) {
	file, size := os.Stdin, int64(-1)
	if path != "-" {
		info, err := os.Stat(path)
		if err != nil {
			return nil, 0, fmt.Errorf("traffic: %w", err)
		}
		if info.IsDir() {
			return nil, 0, fmt.Errorf("traffic: %s is a directory (want a file of JSON lines, plain or gzipped)", path)
		}
		if info.Mode().IsRegular() {
			size = info.Size()
		}
		if file, err = os.Open(path); err != nil {
			return nil, 0, fmt.Errorf("traffic: %w", err)
		}
	}
	src, err := newSource(path, io.TeeReader(file, (*counter)(&r.offset)))
	if err != nil {
		file.Close()
		return nil, 0, err
	}
	src.file = file
	return src, size, nil
}

// counter counts what is written to it.
type counter atomic.Int64

func (c *counter) Write(p []byte) (int, error) {
	(*atomic.Int64)(c).Add(int64(len(p)))
	return len(p), nil
}

// Size is the size of all files as they are stored, in bytes; -1 if one of them has none, as standard input.
func (r *Reader) Size() int64 {
	return r.size
}

// Offset is the number of those bytes that have been read. It may be called while another goroutine reads.
func (r *Reader) Offset() int64 { return r.offset.Load() }

// Take hands the files that hold something else than rows to f, name and content: is tells by their first n bytes. It returns
// how many others there are. [Reader.Requests] passes over the taken ones. An error of f ends it.
func (r *Reader) Take(n int, is func(head []byte) bool, f func(name string, content io.Reader) error) (others int, err error) {
	for _, s := range r.files {
		head, _ := s.in.Peek(n) // a shorter file is judged by what it has; its error comes again when it is read
		if s.taken = is(head); !s.taken {
			others++
		} else if err := f(s.name, s.in); err != nil {
			return others, err
		}
	}
	return others, nil
}

// Close closes the files.
func (r *Reader) Close() error {
	var errs []error
	for _, s := range r.files {
		errs = append(errs, s.file.Close())
	}
	return errors.Join(errs...)
}

// Requests yields the rows of all files, once, in order. A row that cannot be used yields an [*Error] in its place and
// reading goes on with the next one; a file that cannot be read any further yields an [*Error] and reading goes on
// with the next file. Blank lines are passed over.
func (r *Reader) Requests() iter.Seq2[*Request, error] {
	return func(yield func(*Request, error) bool) {
		for _, s := range r.files {
			if !s.taken && !s.requests(r.Unlabelled, yield) {
				return
			}
		}
	}
}

// source is one file of a Reader.
type source struct {
	name  string
	file  *os.File
	in    *bufio.Reader
	taken bool   // by [Reader.Take]
	line  int    // number of the line in buf
	buf   []byte // reused: no row keeps a reference to it
}

// gzipMagic opens every gzip member (RFC 1952, 2.3.1).
var gzipMagic = []byte{0x1f, 0x8b}

func newSource(name string, r io.Reader) (*source, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	if magic, _ := in.Peek(len(gzipMagic)); bytes.Equal(magic, gzipMagic) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("traffic: %s: %w", name, err)
		}
		in = bufio.NewReaderSize(z, 1<<16)
	}
	if _, err := in.Peek(1); err == io.EOF {
		return nil, fmt.Errorf("traffic: %s is empty (want one request a line, see docs/requests.md)", name)
	} else if err != nil {
		return nil, fmt.Errorf("traffic: %s: %w", name, cutShort(err))
	}
	return &source{name: name, in: in}, nil
}

// ownMagic opens the model files and summaries of this module, which are easily named in a request file's place.
const ownMagic = "MLVERDICT"

var errNoRequests = errors.New("a model or a summary, not a request file (want one request a line, see docs/requests.md;" +
	" summaries are for train --base)")

// requests yields the file's rows until yield wants no more, and then returns false.
func (s *source) requests(unlabelled bool, yield func(*Request, error) bool) bool {
	if head, _ := s.in.Peek(len(ownMagic)); string(head) == ownMagic {
		return yield(nil, &Error{File: s.name, Line: 1, Err: errNoRequests})
	}
	for {
		line, err := s.next()
		if err == io.EOF {
			return true
		}
		broken := err != nil && err != errLineTooLong
		var req *Request
		if err == nil {
			if line = bytes.TrimSpace(line); len(line) == 0 {
				continue
			}
			req, err = decode(line, unlabelled)
		}
		if err != nil {
			err = &Error{File: s.name, Line: s.line, Err: err}
		} else {
			req.File, req.Line = s.name, s.line
		}
		if !yield(req, err) {
			return false
		}
		if broken {
			return true
		}
	}
}

var errLineTooLong = fmt.Errorf("line is longer than %d MiB", MaxLine>>20)

// next returns the next line, valid until the next call, and io.EOF after the last one. After errLineTooLong it can be
// called again, after any other error the file is at its end.
func (s *source) next() ([]byte, error) {
	s.line++
	s.buf = s.buf[:0]
	tooLong := false
	for {
		part, err := s.in.ReadSlice('\n')
		if tooLong = tooLong || len(s.buf)+len(part) > MaxLine; !tooLong {
			s.buf = append(s.buf, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(s.buf) == 0 && !tooLong:
			return nil, io.EOF
		case err != nil && err != io.EOF:
			return nil, cutShort(err)
		case tooLong:
			return nil, errLineTooLong
		}
		return s.buf, nil
	}
}

// cutShort says what it means that a compressed file ends too early; other errors stay as they are.
func cutShort(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the gzip file is cut short here, and what follows is missing: %w", err)
	}
	return err
}

// decode reads one row and checks it.
func decode(line []byte, unlabelled bool) (*Request, error) {
	req := new(Request)
	if err := json.Unmarshal(line, req); err != nil {
		return nil, plain(err)
	}
	if unlabelled && req.Label == "" && !req.IsPayload() {
		req.Label = Benign
	}
	if err := req.Validate(); err != nil {
		return nil, err
	}
	return req, nil
}

// plain says what is wrong with a row in the row's terms, not in those of Go's types.
func plain(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("not JSON: %w", err)
	}
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err
	}
	if wrong.Field == "" {
		return fmt.Errorf("unexpected %s (want a JSON object, one request a line)", wrong.Value)
	}
	return fmt.Errorf("field %q: unexpected %s", strings.TrimPrefix(wrong.Field, "fields."), wrong.Value)
}
