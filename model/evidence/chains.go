// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
)

// ErrFormat marks bytes that are no chains or rule table of this version.
var ErrFormat = errors.New("bad format")

// MaxEntries bounds the n-grams of a compiled chain pair.
const MaxEntries = 1 << 18

// Chains are a compiled pair of Markov chains, one of normal and one of attack text: for every n-gram that is worth
// it, the log-likelihood ratio of its last token. They are immutable and safe for concurrent use.
type Chains struct {
	entries []entry
	table   []entry // open addressing, linear probing; the zero ratio and back mark a slot whose key is 0 as empty
	mask    uint32
	classes classTable
}

// Text is what a scan finds in one value.
type Text struct {
	Evidence float64 // largest log-likelihood ratio of any contiguous stretch, less log(tokens+1); nats, ≥ 0
	Tokens   int     // tokens of the stretch
	Lo, Hi   int     // the stretch, in bytes of the decoded value
	Length   int     // tokens of the whole value
}

// CompileChains estimates a chain of normal text, whose counts may come in parts, and one of attack text, whose counts
// come by class, compiles them into at most limit n-grams and corrects those on the samples (see [Sample]), which may
// be none. The same arguments and random source give the same chains.
func CompileChains(normal []*Counts, attacks [Classes]*Counts, limit int, samples []Sample, rng *rand.Rand) (*Chains, error) {
	if limit > MaxEntries {
		return nil, fmt.Errorf("evidence: %d n-grams are more than the limit of %d", limit, MaxEntries)
	}
	var pooled []*Counts
	for _, c := range attacks {
		if c != nil {
			pooled = append(pooled, c)
		}
	}
	entries, suffixes := estimate(normal, pooled, limit)
	c := &Chains{entries: entries, classes: estimateClasses(attacks)}
	c.index()
	if len(samples) > 0 {
		c.refine(suffixes, samples, rng)
		c.index()
	}
	return c, nil
}

func (c *Chains) index() {
	size := uint32(1) << bits.Len(uint(len(c.entries)+len(c.entries)/2)) // load at most 2/3
	c.table, c.mask = make([]entry, size), size-1
	for _, e := range c.entries {
		i := e.key & c.mask
		for c.table[i].key != 0 {
			i = (i + 1) & c.mask
		}
		c.table[i] = e
	}
}

// find looks an n-gram up.
func (c *Chains) find(key uint32) (e entry, ok bool) {
	for i := key & c.mask; ; i = (i + 1) & c.mask {
		e = c.table[i]
		if e.key == key {
			return e, key != 0
		}
		if e.key == 0 {
			return e, false
		}
	}
}

// Scanner holds the buffers of a scan. A zero Scanner is ready; it is not safe for concurrent use.
type Scanner struct {
	decoded []byte
	state   scanState
}

// scanState is where a scan stands: the n-grams that end at the last token, and the best stretch so far.
type scanState struct {
	keys  [Order + 1]uint32 // keys of the n-grams of 1..Order-1 tokens that end at the last token
	back  [Order + 1]int32  // their back-off ratios
	known int               // how many of them the chains know: those of length 1..known
}

// Decoded returns the decoded text of the last scan, valid until the next one.
func (s *Scanner) Decoded() []byte { return s.decoded }

// Scan measures a value. It takes time linear in the value's length.
//
// The evidence is the maximum over all contiguous stretches of the sum of the tokens' log-likelihood ratios
// (Kadane's algorithm; as a sequential test, Page's CUSUM, Biometrika 41, 1954), less the logarithm of the number of
// tokens: the maximal segment of a random sequence with negative drift grows like the logarithm of its length
// (Karlin and Altschul, PNAS 87, 1990). Each token costs drift, so that long text which is merely unlike the training
// traffic does not add up.
func (c *Chains) Scan(s *Scanner, value string) Text {
	s.decoded = appendDecoded(s.decoded[:0], value)
	return c.scanDecoded(s)
}

// drift is what each token of a stretch costs, in units of 1/scale nat: the reference value of a CUSUM.
const drift = scale / 2

func (c *Chains) scanDecoded(s *Scanner) Text {
	var best, sum int64
	var t Text
	from, fromToken := 0, 0
	s.state = scanState{}
	for pos := 0; pos < len(s.decoded); t.Length++ {
		word, tok, n := next(s.decoded[pos:])
		if word != 0 {
			if _, ok := c.find(word); ok {
				tok = word
			}
		}
		if sum <= 0 {
			sum, from, fromToken = 0, pos, t.Length
		}
		pos += n
		sum += int64(c.ratio(&s.state, tok)) - drift
		if sum > best {
			best, t.Lo, t.Hi, t.Tokens = sum, from, pos, t.Length+1-fromToken
		}
	}
	t.Evidence = max(float64(best)/scale-math.Log(float64(t.Length+1)), 0)
	return t
}

// ratio returns the log-likelihood ratio of a token after those before it, clipped, in units of 1/scale nat, and moves
// on.
func (c *Chains) ratio(st *scanState, tok token) int32 {
	return min(max(c.rawRatio(st, tok), -clip*scale), clip*scale)
}

func (c *Chains) rawRatio(st *scanState, tok token) int32 {
	var now scanState
	now.keys[1] = tok
	e, ok := c.find(tok)
	r := int32(e.ratio)
	if ok {
		now.back[1], now.known = int32(e.back), 1
	} else {
		r = 0
	}
	matching := ok
	for n := 2; n <= st.known+1 && n <= Order; n++ {
		if matching {
			now.keys[n] = extend(st.keys[n-1], tok)
			if e, ok = c.find(now.keys[n]); ok {
				r = int32(e.ratio)
				now.back[n], now.known = int32(e.back), n
				continue
			}
			matching = false
		}
		r += st.back[n-1]
	}
	now.known = min(now.known, Order-1)
	*st = now
	return r
}

// AppendBinary appends the chains: uint32 number of n-grams, then for each, by rising key, uint32 key, int8 ratio,
// int8 back-off (little endian); then the class table.
func (c *Chains) AppendBinary(b []byte) ([]byte, error) {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(c.entries)))
	for _, e := range c.entries {
		b = binary.LittleEndian.AppendUint32(b, e.key)
		b = append(b, byte(e.ratio), byte(e.back))
	}
	return c.classes.appendBinary(b), nil
}

const entrySize = 6

// DecodeChains reads what AppendBinary wrote; b must hold nothing else.
func DecodeChains(b []byte) (*Chains, error) {
	if len(b) < 4 {
		return nil, fmt.Errorf("evidence: chains: %w: cut short", ErrFormat)
	}
	n := int(binary.LittleEndian.Uint32(b))
	b = b[4:]
	if n > MaxEntries || n*entrySize > len(b) {
		return nil, fmt.Errorf("evidence: chains: %w: %d n-grams (limit %d) in %d bytes", ErrFormat, n, MaxEntries, len(b))
	}
	c := &Chains{entries: make([]entry, n)}
	last := uint32(0)
	for i := range c.entries {
		e := entry{binary.LittleEndian.Uint32(b), int8(b[4]), int8(b[5])}
		if e.key <= last {
			return nil, fmt.Errorf("evidence: chains: %w: n-gram %d is out of order", ErrFormat, i)
		}
		c.entries[i], last, b = e, e.key, b[entrySize:]
	}
	var err error
	if c.classes, err = decodeClassTable(b); err != nil {
		return nil, err
	}
	c.index()
	return c, nil
}

// NGrams is the number of n-grams that the chains hold.
func (c *Chains) NGrams() int { return len(c.entries) }
