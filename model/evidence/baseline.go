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

// Param identifies a parameter of a site, an argument, a cookie or a header: a hash of its place and name. A run of
// digits in a name counts as one digit, so that the elements of a list are one parameter.
type Param uint64

// ParamOf returns the parameter that a value belongs to: FNV-1a, 64 bits.
func ParamOf(place request.Place, name string) Param {
	const offset, prime = 14695981039346656037, 1099511628211
	h := (offset ^ uint64(place)) * prime
	digits := false
	for i := range len(name) {
		c := name[i]
		if '0' <= c && c <= '9' {
			if digits {
				continue
			}
			c, digits = '0', true
		} else {
			digits = false
		}
		h = (h ^ uint64(c)) * prime
	}
	return Param(h)
}

// use is what values of a parameter show: a rule's match, or payload evidence of a level.
type use struct {
	param Param
	sign  int // id of a rule, or a level of 1..levels
}

// Payload evidence is counted in levels of levelStep nats; no rule has an id as low as a level.
const (
	levels    = 32
	levelStep = 2
)

func levelOf(evidence float64) int { return min(int(max(evidence, 0)/levelStep), levels) }

func (u use) compare(v use) int {
	return cmp.Or(cmp.Compare(u.param, v.param), cmp.Compare(u.sign, v.sign))
}

// Shown is what one request shows in a parameter.
type Shown struct {
	Evidence float64 // the largest payload evidence of its values, nats
	Rules    []int   // the rules that match them, each once
}

// ParamCounts counts on how many requests of a site each parameter stands, and on how many of these it shows what.
type ParamCounts struct {
	carried map[Param]int
	shown   map[use]int
}

// NewParamCounts returns empty counts.
func NewParamCounts() *ParamCounts { return &ParamCounts{map[Param]int{}, map[use]int{}} }

// Add counts a request that carries a parameter.
func (c *ParamCounts) Add(p Param, s Shown) {
	c.carried[p]++
	for level := 1; level <= levelOf(s.Evidence); level++ {
		c.shown[use{p, level}]++
	}
	for _, rule := range s.Rules {
		c.shown[use{p, rule}]++
	}
}

// Merge adds other's counts.
func (c *ParamCounts) Merge(other *ParamCounts) {
	for p, n := range other.carried {
		c.carried[p] += n
	}
	for u, n := range other.shown {
		c.shown[u] += n
	}
}

// Baseline tells what is usual in the parameters of one site. A rule that trips over a parameter day by day, such as a
// cookie of JSON, proves little when it does so again, and so does text there that looks like an attack as much as it
// usually does. What looks more like one, and the same in any other parameter, proves as much as before. It is immutable;
// a nil Baseline knows nothing.
type Baseline struct{ usual map[use]uint8 } // what a use is worth, in units of 1/scale nat

const (
	carriers      = 20   // requests that must carry a parameter before it is known
	priorCarriers = 20   // requests that show nothing which a parameter starts with, so that few prove little
	leastShare    = 0.05 // of a parameter's requests that must show what is usual there: a few attacks do not
	caution       = 2    // what is usual is worth so many times its surprise
)

// Carriers is the number of different requests that must carry a parameter before a [Baseline] knows it.
const Carriers = carriers

// MaxUses bounds a baseline.
const MaxUses = 1 << 16

// CompileBaseline finds what is usual in a number of requests that were counted, those that look like attacks apart. If
// that is more than [MaxUses], what is most usual is kept.
func CompileBaseline(trusted, doubted *ParamCounts, requests int) *Baseline {
	b := &Baseline{map[use]uint8{}}
	add := func(u use) {
		carried := trusted.carried[u.param] + doubted.carried[u.param]
		share := believed(trusted.shown[u], doubted.shown[u], requests) / float64(carried+priorCarriers)
		if carried >= carriers && share >= leastShare {
			b.usual[u] = uint8(math.Round(-caution * math.Log(share) * scale))
		}
	}
	for u := range trusted.shown {
		add(u)
	}
	for u := range doubted.shown {
		add(u)
	}
	if len(b.usual) > MaxUses {
		byWorth := slices.SortedFunc(maps.Keys(b.usual), func(x, y use) int {
			return cmp.Or(cmp.Compare(b.usual[x], b.usual[y]), x.compare(y))
		})
		for _, u := range byWorth[MaxUses:] {
			delete(b.usual, u)
		}
	}
	return b
}

// Match tells what a rule's match in a parameter is worth, given its surprise and its novelty elsewhere.
func (b *Baseline) Match(p Param, rule int, surprise, novelty float64) (float64, float64) {
	if b == nil {
		return surprise, novelty
	}
	if n, ok := b.usual[use{p, rule}]; ok {
		worth := float64(n) / scale
		return min(surprise, worth), min(novelty, worth)
	}
	return surprise, novelty
}

// Text tells what payload evidence in a parameter is worth.
func (b *Baseline) Text(p Param, evidence float64) float64 {
	if b == nil {
		return evidence
	}
	if n, ok := b.usual[use{p, levelOf(evidence)}]; ok {
		return min(evidence, float64(n)/scale)
	}
	return evidence
}

// Params is the number of parameters in which something is usual; 0 for a nil Baseline.
func (b *Baseline) Params() int {
	if b == nil {
		return 0
	}
	params := map[Param]struct{}{}
	for u := range b.usual {
		params[u.param] = struct{}{}
	}
	return len(params)
}

const useSize = 13

// AppendBinary appends uint32 number of entries, and for each, by rising parameter and sign, uint64 hash of the parameter,
// uint32 rule, or level of evidence where it is at most 32, uint8 worth in sixteenths of a nat (little endian).
func (b *Baseline) AppendBinary(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(b.usual)))
	for _, u := range slices.SortedFunc(maps.Keys(b.usual), use.compare) {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(u.param))
		dst = append(binary.LittleEndian.AppendUint32(dst, uint32(u.sign)), b.usual[u])
	}
	return dst
}

// DecodeBaseline reads what AppendBinary wrote; b must hold nothing else.
func DecodeBaseline(b []byte) (*Baseline, error) {
	if len(b) < 4 {
		return nil, fmt.Errorf("evidence: baseline: %w: cut short", ErrFormat)
	}
	n := int64(binary.LittleEndian.Uint32(b))
	b = b[4:]
	if n > MaxUses || n*useSize != int64(len(b)) {
		return nil, fmt.Errorf("evidence: baseline: %w: %d entries (limit %d) in %d bytes", ErrFormat, n, MaxUses, len(b))
	}
	out := &Baseline{make(map[use]uint8, n)}
	var last use
	for i := range n {
		u := use{Param(binary.LittleEndian.Uint64(b)), int(binary.LittleEndian.Uint32(b[8:]))}
		if i > 0 && u.compare(last) <= 0 {
			return nil, fmt.Errorf("evidence: baseline: %w: entry %d is out of order", ErrFormat, i)
		}
		out.usual[u], last, b = b[12], u, b[useSize:]
	}
	return out, nil
}
