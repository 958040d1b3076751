// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/traffic"
)

// requestFlags are the ways in which a command is given one request: as curl would send it, as raw HTTP, or as a row of
// a request file.
type requestFlags struct {
	url     string
	method  string
	headers []string
	data    []string
	row     int
}

// requestUse describes a command's argument and requestHelp how to give a request.
const (
	requestUse  = "[FILE | -]"
	requestHelp = `The request is what curl would send for --url and the flags beside it, raw HTTP in a file or on standard input (-), or
with --row a line of a request file (JSON lines, plain or gzipped).`
)

func (r *requestFlags) declare(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&r.url, "url", "u", "", "`URL` to request")
	f.StringVarP(&r.method, "request", "X", "", "`METHOD` (default: GET, or POST with --data)")
	f.StringArrayVarP(&r.headers, "header", "H", nil, "`'NAME: VALUE'` to send (repeatable); 'NAME:' sends none of that name")
	f.StringArrayVarP(&r.data, "data", "d", nil, "form `DATA` to send (repeatable)")
	f.IntVar(&r.row, "row", 0, "take the row on this `LINE`, counted from 1, of the request file")
	cmd.Args = func(_ *cobra.Command, files []string) error { return r.check(files, f.Changed("row")) }
}

func (r *requestFlags) check(files []string, row bool) error {
	built := r.url != "" || r.method != "" || r.headers != nil || r.data != nil
	switch {
	case len(files) > 1:
		return fmt.Errorf("%d files given (want one request)", len(files))
	case row && len(files) == 0:
		return errors.New("--row without a request file (want a file of JSON lines, or - for standard input)")
	case row && r.row < 1:
		return fmt.Errorf("--row %d: want the number of a line, counted from 1", r.row)
	case len(files) == 0 && r.url == "":
		return errors.New("no request given (want a file with a raw HTTP request, - for standard input, or --url)")
	case len(files) == 1 && built:
		return errors.New("a file and --url, --request, --header or --data given (want one of them)")
	}
	return nil
}

// read returns the request.
func (r *requestFlags) read(stdin io.Reader, files []string) (*traffic.Request, error) {
	switch {
	case len(files) == 0:
		req, err := traffic.Build(r.method, r.url, r.headers, r.data)
		if err != nil {
			return nil, usageError{err}
		}
		return req, nil
	case r.row > 0:
		return r.readRow(files[0])
	case files[0] == "-":
		return parseHTTP(stdin)
	}
	file, err := os.Open(files[0])
	if err != nil {
		return nil, fmt.Errorf("%w (want a file with a raw HTTP request, or - for standard input)", err)
	}
	defer file.Close()
	return parseHTTP(file)
}

// parseHTTP reads raw HTTP, and tells a request file from it.
func parseHTTP(r io.Reader) (*traffic.Request, error) {
	b := bufio.NewReader(r)
	if head, _ := b.Peek(2); len(head) == 2 && (head[0] == '{' || head[0] == 0x1f && head[1] == 0x8b) {
		return nil, errors.New("this looks like a request file, not like raw HTTP, which is not compressed:" +
			" name the line of the request with --row LINE")
	}
	return traffic.ParseHTTP(b)
}

// readRow returns the row on one line of a request file. What is wrong with other rows does not matter.
func (r *requestFlags) readRow(path string) (*traffic.Request, error) {
	reader, err := traffic.Open(path)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	reader.Unlabelled = true
	last, cause := 0, error(nil)
	for row, err := range reader.Requests() {
		cause = err
		var bad *traffic.Error
		switch {
		case errors.As(err, &bad):
			if last = bad.Line; last == r.row {
				return nil, err
			}
		case row.Line == r.row:
			return row, nil
		default:
			last = row.Line
		}
		if last > r.row {
			return nil, fmt.Errorf("%s:%d: the line is blank", path, r.row)
		}
	}
	if cause != nil {
		return nil, fmt.Errorf("--row %d: %w", r.row, cause) // the file may go on behind what could not be read
	}
	if last == 0 {
		return nil, fmt.Errorf("--row %d: %s holds no row", r.row, path)
	}
	return nil, fmt.Errorf("--row %d: the last row of %s stands on line %d", r.row, path, last)
}
