// SPDX-License-Identifier: Apache-2.0

package training

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/features"
	"github.com/mlverdict/mlverdict/model/request"
)

// The summary file; numbers are unsigned varints unless it says otherwise:
//
//	magic     18 bytes "MLVERDICT SUMMARY\n"
//	format    uint16, little endian
//	chains    32 bytes, SHA-256 of the payload chains that measured the texts
//	names     number, then for each, rising, a hash of 8 bytes, little endian (see evidence.ParamOf)
//	requests  number, then for each, by rising digest:
//	  digest    32 bytes (see traffic.Request.Digest)
//	  scores    CRS's score threshold, what the rules of paranoia levels 1, 2, 3 and 4 earned
//	  values    number, then for each: place, index of its name, length, payload evidence in sixteenths of a nat, length of its stretch
//	  matches   number, then for each: rule, paranoia level, number of ranges of values, for each its bounds
//	checksum  32 bytes, SHA-256 of all before it
const (
	summaryMagic  = "MLVERDICT SUMMARY\n"
	summaryFormat = 1
)

// MaxSummarySize bounds a summary file, in bytes: some 200,000 requests.
const MaxSummarySize = 64 << 20

// ErrSummary marks bytes that are no summary that this version can read.
var ErrSummary = errors.New("bad summary file")

// IsSummary tells by its first bytes whether a file is a summary.
func IsSummary(head []byte) bool { return bytes.HasPrefix(head, []byte(summaryMagic)) }

// SummaryHead is how many bytes [IsSummary] needs.
const SummaryHead = len(summaryMagic)

// Bytes returns the summary file. The same requests give the same bytes.
func (s *Summary) Bytes() ([]byte, error) {
	names := map[evidence.Param]int{}
	for _, t := range s.requests {
		for _, v := range t.values {
			names[v.Param] = 0
		}
	}
	b := binary.LittleEndian.AppendUint16([]byte(summaryMagic), summaryFormat)
	b = append(b, s.chains[:]...)
	b = binary.AppendUvarint(b, uint64(len(names)))
	for i, name := range slices.Sorted(maps.Keys(names)) {
		names[name] = i
		b = binary.LittleEndian.AppendUint64(b, uint64(name))
	}
	b = binary.AppendUvarint(b, uint64(len(s.requests)))
	for _, digest := range s.digests() {
		t := s.requests[digest]
		b = t.append(append(b, digest[:]...), names)
	}
	sum := sha256.Sum256(b)
	if b = append(b, sum[:]...); len(b) > MaxSummarySize {
		return nil, fmt.Errorf("training: the summary would be %d bytes long (limit %d): summarize fewer requests at a time", len(b), MaxSummarySize)
	}
	return b, nil
}

func (t *trace) append(b []byte, names map[evidence.Param]int) []byte {
	put := func(n int) { b = binary.AppendUvarint(b, uint64(n)) }
	put(t.view.Limit)
	for _, score := range t.view.Earned {
		put(score)
	}
	put(len(t.values))
	for i, v := range t.values {
		put(int(t.view.Values[i].Place))
		put(names[v.Param])
		put(len(t.view.Values[i].Text))
		put(int(steps(v.Evidence)))
		put(v.Stretch)
	}
	put(len(t.view.Matches))
	for _, m := range t.view.Matches {
		put(m.Rule)
		put(m.Paranoia)
		put(len(m.Spans))
		for _, span := range m.Spans {
			put(int(span.Lo))
			put(int(span.Hi))
		}
	}
	return b
}

// ReadSummary parses a summary file, for adapting base. Every error but that of another model wraps [ErrSummary].
func ReadSummary(file []byte, base *model.Model) (*Summary, error) {
	s, err := NewSummary(base)
	if err != nil {
		return nil, err
	}
	const head = len(summaryMagic) + 2
	switch {
	case len(file) > MaxSummarySize:
		return nil, fmt.Errorf("training: %w: more than %d bytes", ErrSummary, MaxSummarySize)
	case len(file) < head+2*sha256.Size || !IsSummary(file):
		return nil, fmt.Errorf("training: %w: no summary of mlverdict summarize, or one cut short", ErrSummary)
	}
	if got := binary.LittleEndian.Uint16(file[len(summaryMagic):]); got != summaryFormat {
		return nil, fmt.Errorf("training: %w: format %d is not supported (want %d)", ErrSummary, got, summaryFormat)
	}
	body, sum := file[:len(file)-sha256.Size], file[len(file)-sha256.Size:]
	if want := sha256.Sum256(body); subtle.ConstantTimeCompare(want[:], sum) == 0 {
		return nil, fmt.Errorf("training: %w: checksum does not match, the file is damaged or cut short", ErrSummary)
	}
	if !bytes.Equal(body[head:head+sha256.Size], s.chains[:]) {
		return nil, errOtherModel
	}
	r := &summaryReader{rest: body[head+sha256.Size:]}
	s.requests = r.requests(r.names())
	if r.failed || len(r.rest) > 0 {
		return nil, fmt.Errorf("training: %w: its tables do not fit", ErrSummary)
	}
	return s, nil
}

var errOtherModel = errors.New("training: the summary was made for another model: summarize the traffic again, with the --base of this training")

// summaryReader takes a summary's tables apart. Its first mistake ends it: from then on it yields zeros.
type summaryReader struct {
	rest   []byte
	failed bool
}

func (r *summaryReader) fail() { r.rest, r.failed = nil, true }

// number reads a number of at most limit.
func (r *summaryReader) number(limit int) int {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 || n > uint64(limit) {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return int(n)
}

// count reads the number of entries of a table, each of at least size bytes: no more than there are bytes for.
func (r *summaryReader) count(size int) int { return r.number(len(r.rest) / size) }

func (r *summaryReader) bytes(n int) []byte {
	if len(r.rest) < n {
		r.fail()
		return make([]byte, n)
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *summaryReader) names() []evidence.Param {
	list := make([]evidence.Param, r.count(8))
	for i := range list {
		list[i] = evidence.Param(binary.LittleEndian.Uint64(r.bytes(8)))
		if i > 0 && list[i] <= list[i-1] {
			r.fail()
		}
	}
	return list
}

func (r *summaryReader) requests(names []evidence.Param) map[[sha256.Size]byte]trace {
	n := r.count(sha256.Size + 7)
	requests := make(map[[sha256.Size]byte]trace, n)
	last := make([]byte, sha256.Size)
	for i := 0; i < n && !r.failed; i++ {
		digest := r.bytes(sha256.Size)
		if i > 0 && bytes.Compare(digest, last) <= 0 {
			r.fail()
		}
		last = digest
		requests[[sha256.Size]byte(digest)] = r.trace(names)
	}
	return requests
}

const (
	maxScore = 1 << 20
	maxRule  = 1 << 30
	maxSteps = 1 << 30

	maxStretch = 1 << 30
)

func (r *summaryReader) trace(names []evidence.Param) trace {
	t := trace{view: request.View{Paranoia: request.ParanoiaLevels, Limit: r.number(maxScore)}}
	for i := range t.view.Earned {
		t.view.Earned[i] = r.number(maxScore)
	}
	n := r.count(5)
	t.values, t.view.Values = make([]features.Measured, n), make([]request.Value, n)
	for i := range n {
		place, name := r.number(math.MaxUint8), r.number(max(len(names)-1, 0))
		t.view.Values[i] = request.Value{Place: request.Place(place), Text: filler[:r.number(features.MaxLength)]}
		if len(names) == 0 {
			r.fail()
			break
		}
		t.values[i] = features.Measured{Param: names[name], Evidence: float64(r.number(maxSteps)) * evidenceStep, Stretch: r.number(maxStretch)}
	}
	t.view.Matches = make([]request.Match, r.count(3))
	for i := range t.view.Matches {
		m := request.Match{Rule: r.number(maxRule), Paranoia: r.number(request.ParanoiaLevels)}
		m.Spans = make([]request.Span, r.count(2))
		for j := range m.Spans {
			m.Spans[j] = request.Span{Lo: int32(r.number(n)), Hi: int32(r.number(n))}
		}
		t.view.Matches[i] = m
	}
	return t
}
