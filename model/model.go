// SPDX-License-Identifier: Apache-2.0

// Package model is the second verdict: a model file in memory, and how it judges a request.
//
// # The score
//
// A verdict is an integer from 1 to 99, low = attack, as in the articles this product grew from. The scale means the
// same in every model and at every paranoia level, because each model carries one calibration per level, made on
// normal requests that CRS flags at that level. Of a site not seen before there score, about and at most:
//
//	score ≤ 80   half of them
//	score ≤ 50   5 % of them (the default threshold)
//	score ≤ 20   1 %
//	score ≤ 5    0.1 %
//
// Read 1–20 as attack, 21–50 as likely attack, 51–80 as likely clean, 81–99 as clean. 0 means "not scored".
//
// # Model files
//
// A model is one file, described in file.go. [Read] takes hostile input: it bounds every table before it allocates
// it and refuses a file that was changed in any byte. The same training data, parameters and seed give the same bytes.
package model

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/features"
	"github.com/mlverdict/mlverdict/model/forest"
	"github.com/mlverdict/mlverdict/model/request"
)

// Parts are what a model is made of.
type Parts struct {
	Schema      *features.Schema
	Seed        uint64
	Data        Data
	Chains      *evidence.Chains   // nil where the schema has no payload evidence
	Rules       *evidence.Rules    // nil where the schema has no rule evidence
	Baseline    *evidence.Baseline // nil in a model of no site
	Forest      *forest.Forest
	Calibration [request.ParanoiaLevels]Calibration
}

// Data tells what a model was trained on.
type Data struct {
	Digest  string `json:"digest"`  // SHA-256, in hexadecimal, of the training rows' digests in rising order
	Normal  int    `json:"normal"`  // normal requests trained on
	Attacks int    `json:"attacks"` // attack payloads trained on
	Tuning  int    `json:"tuning"`  // normal requests that calibrated and trained nothing

	// Of a model that was adapted to a site; the digest is that of the site's requests, the numbers above are the base's.
	Base string `json:"base,omitempty"` // id of the model that it was made of
	Site int    `json:"site,omitempty"` // requests of the site
}

// Extractor measures as a model of these parts does.
func (p Parts) Extractor() *features.Extractor {
	return &features.Extractor{Schema: p.Schema, Chains: p.Chains, Rules: p.Rules, Baseline: p.Baseline}
}

// check refuses what no training writes: programs print these fields as they are.
func (d *Data) check() error {
	switch {
	case !hexadecimal(d.Digest, sha256.Size):
		return fmt.Errorf("model: training data digest %.100q (want %d hexadecimal digits): %w", d.Digest, 2*sha256.Size, ErrFormat)
	case !hexadecimal(d.Base, idSize):
		return fmt.Errorf("model: base %.100q (want %d hexadecimal digits): %w", d.Base, 2*idSize, ErrFormat)
	case min(d.Normal, d.Attacks, d.Tuning, d.Site) < 0:
		return fmt.Errorf("model: a negative number of training rows: %w", ErrFormat)
	}
	return nil
}

// hexadecimal reports whether text is empty or spells so many bytes.
func hexadecimal(text string, bytes int) bool {
	b, err := hex.DecodeString(text)
	return text == "" || err == nil && len(b) == bytes
}

// Model judges requests. It is immutable and safe for concurrent use.
type Model struct {
	parts     Parts
	file      []byte
	id        string
	extractor features.Extractor
	scratch   sync.Pool
}

// New makes a model of its parts.
func New(p Parts) (*Model, error) {
	file, err := encode(&p)
	if err != nil {
		return nil, err
	}
	return assemble(p, file)
}

func assemble(p Parts, file []byte) (*Model, error) {
	switch {
	case p.Schema == features.Verdict && (p.Chains == nil || p.Rules == nil):
		return nil, fmt.Errorf("model: schema %s needs chains and rules: %w", p.Schema.Name, ErrFormat)
	case p.Forest.Features() != len(p.Schema.Features):
		return nil, fmt.Errorf("model: a forest of %d features does not fit schema %v: %w",
			p.Forest.Features(), p.Schema, ErrFormat)
	}
	if err := p.Data.check(); err != nil {
		return nil, err
	}
	return &Model{
		parts:     p,
		file:      file,
		id:        hex.EncodeToString(file[len(file)-checksumSize:][:idSize]),
		extractor: *p.Extractor(),
		scratch:   sync.Pool{New: func() any { return new(features.Scratch) }},
	}, nil
}

// idSize is the length of an id, in bytes.
const idSize = 6

// ID is the first 12 hexadecimal digits of the model file's checksum.
func (m *Model) ID() string { return m.id }

// Bytes returns the model file. The caller must not change it.
func (m *Model) Bytes() []byte { return m.file }

// Parts returns what the model is made of. The caller must not change what it points to.
func (m *Model) Parts() Parts { return m.parts }

// ErrNoView is the error of judging nothing.
var ErrNoView = errors.New("model: no view to judge")

// Judge fills out with the model's verdict on a view. It takes time linear in the view's size and, after warm-up,
// does not allocate. It is safe for concurrent use.
func (m *Model) Judge(v *request.View, out *Verdict) error {
	*out = Verdict{}
	if v == nil {
		return ErrNoView
	}
	s := m.scratch.Get().(*features.Scratch)
	defer m.scratch.Put(s)
	m.extractor.Extract(s, v)
	m.decide(v, s, out)
	return nil
}

// decide fills the verdict on a view with what the extraction left in s.
func (m *Model) decide(v *request.View, s *features.Scratch, out *Verdict) {
	if m.parts.Schema != features.Verdict {
		out.mute = m.parts.Schema.Name
	}
	out.Anomaly = m.parts.Forest.Anomaly(s.Vector)
	out.Score = m.Calibration(v).Score(out.Anomaly)
	out.witness(v, &s.Found)
}

// Calibration returns the calibration of the view's paranoia level. The caller must not change it.
func (m *Model) Calibration(v *request.View) *Calibration {
	return &m.parts.Calibration[min(max(v.Paranoia, 1), request.ParanoiaLevels)-1]
}
