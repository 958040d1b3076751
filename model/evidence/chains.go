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

// CompileChains estimates a chain of normal text and one of attack text, whose counts may come in parts, and compiles them
// into at most limit n-grams. On the samples, which may be none, it corrects those and learns to tell the classes of attacks
// apart. The same arguments and random source give the same chains.
func CompileChains(normal, attack []*Counts, limit int, samples []Sample, rng *rand.Rand) (*Chains, error) {
	if limit > MaxEntries {
		return nil, fmt.Errorf("evidence: %d n-grams are more than the limit of %d", limit, MaxEntries)
	}
	entries, suffixes := estimate(normal, attack, limit)
	c := &Chains{entries: entries}
	c.index()
	if len(samples) > 0 {
		c.refine(suffixes, samples, rng)
		c.index()
		c.classes = learnClasses(c, samples, rng)
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

// find looks an n-gram up. The entry's key is 0 where the chains do not know it.
func (c *Chains) find(key uint32) entry {
	for i := key & c.mask; ; i = (i + 1) & c.mask {
		if e := c.table[i]; e.key == key || e.key == 0 {
			return e
		}
	}
}

// Scanner holds the buffers of a scan. A zero Scanner is ready; it is not safe for concurrent use.
type Scanner struct {
	decoded []byte
	met     recent
}

// recent remembers n-grams of one text: of those whose keys fall on the same slot, the last.
type recent struct {
	slots [1 << 10]uint64 // number of the text, then the key
	text  uint32
}

// start forgets what earlier texts showed.
func (m *recent) start() { m.text++ }

// again reports whether it remembers the n-gram of a key, and remembers it from now on.
func (m *recent) again(key uint32) bool {
	slot, mark := &m.slots[key%uint32(len(m.slots))], uint64(m.text)<<32|uint64(key)
	was := *slot
	*slot = mark
	return was == mark
}

// history is where a scan stands: the n-grams of 1..known tokens that end at the last token, which the chains know.
type history struct {
	keys  [Order]uint32 // by number of tokens; [0] is unused
	back  [Order]int32  // their back-off ratios
	known int           // at most Order-1
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
	var before history
	s.met.start()
	for pos := 0; pos < len(s.decoded); t.Length++ {
		tok, e, n := c.next(s.decoded[pos:])
		if sum <= 0 {
			sum, from, fromToken = 0, pos, t.Length
		}
		pos += n
		r, gram := c.ratio(&before, tok, e)
		if r > 0 && s.met.again(gram) {
			r -= r / 4
		}
		sum += int64(min(max(r, -clip*scale), clip*scale)) - drift
		if sum > best {
			best, t.Lo, t.Hi, t.Tokens = sum, from, pos, t.Length+1-fromToken
		}
	}
	t.Evidence = max(float64(best)/scale-math.Log(float64(t.Length+1)), 0)
	return t
}

// next cuts the first token off b, which must not be empty, and looks it up. A word that the chains do not know is its
// shape.
func (c *Chains) next(b []byte) (tok token, e entry, n int) {
	word, tok, n := next(b)
	if word != 0 {
		if e = c.find(word); e.key != 0 {
			return word, e, n
		}
	}
	return tok, c.find(tok), n
}

// ratio returns the log-likelihood ratio of a token, whose entry is e, after those before it, in units of 1/scale nat,
// and moves on: the ratio of the longest known n-gram that ends at the token, with the back-offs of the longer contexts
// that were known and are not continued. gram is the key of that n-gram, the token's where none is known.
func (c *Chains) ratio(h *history, tok token, e entry) (r int32, gram uint32) {
	before, n := h.known, 0
	gram = tok
	for key := tok; e.key != 0; {
		r, gram = int32(e.ratio), key
		if n == Order-1 {
			return r, gram
		}
		n++
		context, back := h.keys[n], h.back[n]
		h.keys[n], h.back[n] = key, int32(e.back)
		h.known = n
		if n > before {
			return r, gram
		}
		key = extend(context, tok)
		if e = c.find(key); e.key == 0 {
			r += back
		}
	}
	for _, back := range h.back[n+1 : before+1] {
		r += back
	}
	h.known = n
	return r, gram
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
	n := int64(binary.LittleEndian.Uint32(b))
	b = b[4:]
	if n > MaxEntries || n*entrySize > int64(len(b)) {
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
	if n := c.longestRun(); n > maxRun {
		return nil, fmt.Errorf("evidence: chains: %w: look-ups of up to %d steps (limit %d)", ErrFormat, n, maxRun)
	}
	return c, nil
}

// maxRun bounds the steps of a look-up. Keys are hashes, which make runs of some hundred at most; a file whose keys were
// chosen to lie side by side would make every look-up a search through all of them.
const maxRun = 1024

// longestRun returns the most steps that a look-up can take: the longest run of slots that are taken.
func (c *Chains) longestRun() int {
	longest, run := 0, 0
	for range 2 { // a run goes on from the last slot to the first
		for _, e := range c.table {
			if run++; e.key == 0 {
				run = 0
			}
			longest = max(longest, run)
		}
	}
	return longest
}

// NGrams is the number of n-grams that the chains hold.
func (c *Chains) NGrams() int { return len(c.entries) }
