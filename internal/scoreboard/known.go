// SPDX-License-Identifier: Apache-2.0

package scoreboard

import (
	"bufio"
	"compress/gzip"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/mlverdict/mlverdict/model/request"
)

// payloadTexts are the attack texts of the training files, in lower case, as they stand and URL-decoded.
type payloadTexts map[string]struct{}

func (p payloadTexts) add(text string) {
	for _, form := range forms(text) {
		p[form] = struct{}{}
	}
}

// holds reports whether an argument of the view is an attack text of training.
func (p payloadTexts) holds(v *request.View) bool {
	for i := range v.Values {
		if x := &v.Values[i]; x.Place == request.Query || x.Place == request.Form {
			for _, form := range forms(x.Text) {
				if _, ok := p[form]; ok {
					return true
				}
			}
		}
	}
	return false
}

func forms(text string) []string {
	text = strings.ToLower(strings.TrimSpace(text))
	if decoded, err := url.QueryUnescape(text); err == nil && decoded != text {
		return []string{text, strings.ToLower(strings.TrimSpace(decoded))}
	}
	return []string{text}
}

// Manifest is the set of digests of the rows that a model was trained on.
type Manifest map[string]struct{}

// ReadManifest reads a gzipped list of digests, a line each, as train writes it beside a model.
func ReadManifest(r io.Reader) (Manifest, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("scoreboard: manifest: %w", err)
	}
	m := Manifest{}
	for lines := bufio.NewScanner(z); ; {
		if !lines.Scan() {
			return m, lines.Err()
		}
		m[lines.Text()] = struct{}{}
	}
}

// ErrLeak marks a test row that the model was trained on.
var ErrLeak = errors.New("the model was trained on this row, so it must not be tested on it")

// Leaks names every test row that the model was trained or calibrated on; nil if there is none.
func (d *Data) Leaks(m Manifest) error {
	var leaks []error
	for i := range d.Test {
		digest := d.Test[i].Digest()
		if _, ok := m[hex.EncodeToString(digest[:])]; ok {
			leaks = append(leaks, fmt.Errorf("scoreboard: %s:%d: %w", d.Test[i].File, d.Test[i].Line, ErrLeak))
		}
	}
	return errors.Join(leaks...)
}
