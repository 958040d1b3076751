// SPDX-License-Identifier: Apache-2.0

package model

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/features"
	"github.com/mlverdict/mlverdict/model/forest"
)

// The model file, all numbers little endian:
//
//	magic       10 bytes "MLVERDICT\n"
//	format      uint16
//	header      uint32 length, JSON (see header)
//	chains      uint32 length, see evidence.Chains.AppendBinary; empty without payload evidence
//	rules       uint32 length, see evidence.Rules.AppendBinary; empty without rule evidence
//	forest      uint32 length, see forest.Forest.AppendBinary
//	calibration uint32 length, 4 paranoia levels × 99 float64
//	baseline    uint32 length, see evidence.Baseline.AppendBinary; in format 2 only, which is that of a site's model
//	checksum    32 bytes, SHA-256 of all before it
const (
	magic        = "MLVERDICT\n"
	format       = 1 // without a baseline
	siteFormat   = 2 // with one
	checksumSize = sha256.Size
)

// MaxFileSize bounds a model file, in bytes.
const MaxFileSize = 16 << 20

// ErrFormat marks bytes that are no model file that this version can read.
var ErrFormat = errors.New("bad model file")

// header is the part of a model file that a person may read.
type header struct {
	Schema     string   `json:"schema"`
	SchemaHash string   `json:"schema_hash"`
	Features   []string `json:"features"`
	Trees      int      `json:"trees"`
	Subsample  int      `json:"subsample"`
	Seed       uint64   `json:"seed"`
	Data       Data     `json:"data"`
}

func newHeader(p *Parts) header {
	hash := p.Schema.Hash()
	h := header{
		Schema: p.Schema.Name, SchemaHash: hex.EncodeToString(hash[:]),
		Trees: p.Forest.Trees(), Subsample: p.Forest.Subsample(), Seed: p.Seed, Data: p.Data,
	}
	for _, f := range p.Schema.Features {
		h.Features = append(h.Features, f.Name)
	}
	return h
}

// encode writes the model file.
func encode(p *Parts) ([]byte, error) {
	head, err := json.Marshal(newHeader(p))
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	var chains, rules, trees, calibration []byte
	if p.Chains != nil {
		if chains, err = p.Chains.AppendBinary(nil); err != nil {
			return nil, err
		}
	}
	if p.Rules != nil {
		if rules, err = p.Rules.AppendBinary(nil); err != nil {
			return nil, err
		}
	}
	if trees, err = p.Forest.AppendBinary(nil); err != nil {
		return nil, err
	}
	for i := range p.Calibration {
		calibration = p.Calibration[i].appendBinary(calibration)
	}
	version, sections := uint16(format), [][]byte{head, chains, rules, trees, calibration}
	if p.Baseline != nil {
		version, sections = siteFormat, append(sections, p.Baseline.AppendBinary(nil))
	}
	b := binary.LittleEndian.AppendUint16([]byte(magic), version)
	for _, section := range sections {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(section)))
		b = append(b, section...)
	}
	sum := sha256.Sum256(b)
	b = append(b, sum[:]...)
	if len(b) > MaxFileSize {
		return nil, fmt.Errorf("model: the file would be %d bytes long (limit %d)", len(b), MaxFileSize)
	}
	return b, nil
}

// ReadFile reads a model file's bytes. It refuses more than [MaxFileSize], by the file's size where it has one and by
// what was read of a device, so that a file of any size does no harm.
func ReadFile(f fs.File) ([]byte, error) {
	tooLarge := fmt.Errorf("model: %w: more than %d bytes, no model is that large", ErrFormat, MaxFileSize)
	if info, err := f.Stat(); err == nil && info.Size() > MaxFileSize {
		return nil, tooLarge
	}
	var file bytes.Buffer
	if _, err := file.ReadFrom(io.LimitReader(f, MaxFileSize+1)); err != nil {
		return nil, err
	}
	if file.Len() > MaxFileSize {
		return nil, tooLarge
	}
	return file.Bytes(), nil
}

// Read parses a model file, which it does not keep. Any error wraps [ErrFormat].
func Read(file []byte) (*Model, error) {
	if len(file) > MaxFileSize {
		return nil, fmt.Errorf("model: %w: %d bytes (limit %d)", ErrFormat, len(file), MaxFileSize)
	}
	if len(file) < len(magic)+2+checksumSize || string(file[:len(magic)]) != magic {
		return nil, fmt.Errorf("model: %w: no mlverdict model", ErrFormat)
	}
	body, sum := file[:len(file)-checksumSize], file[len(file)-checksumSize:]
	version := binary.LittleEndian.Uint16(body[len(magic):])
	if version != format && version != siteFormat {
		return nil, fmt.Errorf("model: %w: format %d is not supported (want %d or %d)", ErrFormat, version, format, siteFormat)
	}
	if want := sha256.Sum256(body); subtle.ConstantTimeCompare(want[:], sum) == 0 {
		return nil, fmt.Errorf("model: %w: checksum does not match, the file is damaged or cut short", ErrFormat)
	}
	p, err := decode(body[len(magic)+2:], version == siteFormat)
	if err != nil {
		return nil, err
	}
	return assemble(p, bytes.Clone(file))
}

func decode(b []byte, site bool) (Parts, error) {
	var sections [6][]byte
	for i := range sections {
		if i == 5 && !site {
			break
		}
		if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
			return Parts{}, fmt.Errorf("model: %w: section %d is cut short", ErrFormat, i)
		}
		n := binary.LittleEndian.Uint32(b)
		sections[i], b = b[4:4+n], b[4+n:]
	}
	if len(b) != 0 {
		return Parts{}, fmt.Errorf("model: %w: %d bytes after the last section", ErrFormat, len(b))
	}
	p, err := decodeHeader(sections[0])
	if err != nil {
		return p, err
	}
	if len(sections[1]) > 0 {
		if p.Chains, err = evidence.DecodeChains(sections[1]); err != nil {
			return p, fmt.Errorf("model: %w: %w", ErrFormat, err)
		}
	}
	if len(sections[2]) > 0 {
		if p.Rules, err = evidence.DecodeRules(sections[2]); err != nil {
			return p, fmt.Errorf("model: %w: %w", ErrFormat, err)
		}
	}
	if p.Forest, err = forest.Decode(sections[3]); err != nil {
		return p, fmt.Errorf("model: %w: %w", ErrFormat, err)
	}
	if site {
		if p.Baseline, err = evidence.DecodeBaseline(sections[5]); err != nil {
			return p, fmt.Errorf("model: %w: %w", ErrFormat, err)
		}
	}
	return p, decodeCalibration(sections[4], &p)
}

func decodeHeader(b []byte) (Parts, error) {
	var h header
	if err := json.Unmarshal(b, &h); err != nil {
		return Parts{}, fmt.Errorf("model: %w: header: %.200v", ErrFormat, err)
	}
	names := strings.Join(h.Features, " ")
	schema, ok := features.ByName(h.Schema)
	if !ok {
		return Parts{}, fmt.Errorf("model: %w: schema %.50q with features %.500q is unknown: train the model anew with this version, which knows %v",
			ErrFormat, h.Schema, names, features.Schemas())
	}
	if hash := schema.Hash(); h.SchemaHash != hex.EncodeToString(hash[:]) {
		return Parts{}, fmt.Errorf("model: %w: schema %q means the features %.500q in the file and %v in this version; train the model again",
			ErrFormat, h.Schema, names, schema)
	}
	return Parts{Schema: schema, Seed: h.Seed, Data: h.Data}, nil
}

func decodeCalibration(b []byte, p *Parts) error {
	if len(b) != len(p.Calibration)*calibrationSize {
		return fmt.Errorf("model: %w: calibration of %d bytes (want %d)", ErrFormat, len(b), len(p.Calibration)*calibrationSize)
	}
	for i := range p.Calibration {
		if err := p.Calibration[i].decode(b[i*calibrationSize:]); err != nil {
			return err
		}
	}
	return nil
}
