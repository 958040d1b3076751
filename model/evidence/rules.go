// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/mlverdict/mlverdict/model/request"
)

// MaxRules bounds the rules of a rule table.
const MaxRules = 4096

// Rules counts on how many normal requests each CRS rule matches, at paranoia level 4. Counts of disjoint traffic
// add up.
type Rules struct {
	Requests uint64
	Matches  map[int]uint64 // rule id → requests that it matched
}

// NewRules returns empty counts.
func NewRules() *Rules { return &Rules{Matches: map[int]uint64{}} }

// Add counts one normal request.
func (r *Rules) Add(v *request.View) {
	r.Requests++
	for i := range v.Matches {
		r.Matches[v.Matches[i].Rule]++
	}
}

// Merge adds other's counts.
func (r *Rules) Merge(other *Rules) {
	r.Requests += other.Requests
	for id, n := range other.Matches {
		r.Matches[id] += n
	}
}

// Without returns the counts without those of a part of the same traffic.
func (r *Rules) Without(part *Rules) *Rules {
	out := &Rules{Requests: r.Requests - part.Requests, Matches: maps.Clone(r.Matches)}
	for id, n := range part.Matches {
		out.Matches[id] -= n
	}
	return out
}

// Rarity is the share of normal requests that a rule matches, 0..1, with half a match added so that a rule never
// seen is rare and not impossible (Krichevsky and Trofimov, 1981).
func (r *Rules) Rarity(id int) float64 {
	return (float64(r.Matches[id]) + 0.5) / (float64(r.Requests) + 1)
}

// Surprise is the information in a match of the rule under normal traffic, −ln [Rules.Rarity], in nats.
func (r *Rules) Surprise(id int) float64 { return -math.Log(r.Rarity(id)) }

// AppendBinary appends uint64 requests, uint32 number of rules, then for each, by rising id, uint32 id and uint64
// matches (little endian).
func (r *Rules) AppendBinary(b []byte) ([]byte, error) {
	b = binary.LittleEndian.AppendUint64(b, r.Requests)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.Matches)))
	for _, id := range slices.Sorted(maps.Keys(r.Matches)) {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
		b = binary.LittleEndian.AppendUint64(b, r.Matches[id])
	}
	return b, nil
}

// DecodeRules reads what AppendBinary wrote; b must hold nothing else.
func DecodeRules(b []byte) (*Rules, error) {
	const head, size = 12, 12
	if len(b) < head {
		return nil, fmt.Errorf("evidence: rules: %w: cut short", ErrFormat)
	}
	r := &Rules{Requests: binary.LittleEndian.Uint64(b)}
	n := int(binary.LittleEndian.Uint32(b[8:]))
	b = b[head:]
	if n > MaxRules || n*size != len(b) {
		return nil, fmt.Errorf("evidence: rules: %w: %d rules (limit %d) in %d bytes", ErrFormat, n, MaxRules, len(b))
	}
	r.Matches = make(map[int]uint64, n)
	last := -1
	for range n {
		id, matches := int(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint64(b[4:])
		if cmp.Compare(id, last) <= 0 || matches > r.Requests {
			return nil, fmt.Errorf("evidence: rules: %w: rule %d", ErrFormat, id)
		}
		r.Matches[id], last, b = matches, id, b[size:]
	}
	return r, nil
}
