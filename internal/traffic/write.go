// SPDX-License-Identifier: Apache-2.0

package traffic

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/google/renameio/v2"
)

// Writer writes rows as JSON lines. A file appears under its name when Close succeeds: whole or not at all.
type Writer struct {
	file *renameio.PendingFile // nil for a stream
	out  io.Writer
	gzip *gzip.Writer // nil for a plain file
}

// Create starts a file of JSON lines, gzipped where path ends in ".gz". Its directory must exist. Rows may hold cookies and
// tokens: a new file is its owner's alone; one that is replaced keeps its permissions.
func Create(path string) (*Writer, error) {
	file, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o600), renameio.WithExistingPermissions())
	if err != nil {
		return nil, fmt.Errorf("traffic: %w", err)
	}
	w := &Writer{file: file, out: file}
	if strings.HasSuffix(path, ".gz") {
		w.gzip = gzip.NewWriter(file)
		w.out = w.gzip
	}
	return w, nil
}

// Stream starts JSON lines on a stream, which Close leaves open.
func Stream(out io.Writer) *Writer { return &Writer{out: out} }

// Write adds one row.
func (w *Writer) Write(r *Request) error {
	line, err := json.Marshal(r)
	if err == nil {
		_, err = w.out.Write(append(line, '\n'))
	}
	return err
}

// Close finishes the file and puts it in place. On an error nothing is left behind.
func (w *Writer) Close() error {
	if w.file == nil {
		return nil
	}
	defer w.file.Cleanup()
	if w.gzip != nil {
		if err := w.gzip.Close(); err != nil {
			return err
		}
	}
	return w.file.CloseAtomicallyReplace()
}

// Discard drops what was written. After Close it does nothing.
func (w *Writer) Discard() {
	if w.file != nil {
		w.file.Cleanup()
	}
}
