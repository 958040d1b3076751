// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"

	"github.com/mlverdict/mlverdict/model/request"
)

// Extent is what a rule matched: nothing that has a length, a value of some length, or a value whose text has a stretch
// of some length that looks like an attack. A rule that trips over a page of text proves little; the same rule on a few
// bytes is another matter, as an alignment is of a short and of a long sequence.
type Extent uint8

const (
	anyExtent Extent = iota // the rule matched, whatever it matched
	nowhere                 // it matched no value of the view, such as a missing header
	values                  // values of up to 8 bytes; then of up to 16, 32 … 1,024 and more
	stretches = values + lengths
	extents   = stretches + lengths
	lengths   = 9
)

func lengthOf(n int) Extent { return min(Extent(bits.Len(uint(max(n-1, 0))>>3)), lengths-1) }

// OfValue returns the extent of a value of n bytes.
func OfValue(n int) Extent { return values + lengthOf(n) }

// OfText returns the extent of a value of n bytes by its text: by the stretch of that many bytes that looks like an
// attack, so that it does not matter how much else there is; where none does (0), that of the value.
func OfText(stretch, n int) Extent {
	if stretch == 0 {
		return OfValue(n)
	}
	return stretches + lengthOf(stretch)
}

// shorter and longer return the next extents of the same kind, or the extent itself where there is none.
func (e Extent) shorter() Extent {
	if e < values || (e-values)%lengths == 0 {
		return e
	}
	return e - 1
}

func (e Extent) longer() Extent {
	if e < values || (e-values)%lengths == lengths-1 {
		return e
	}
	return e + 1
}

// occasion is a rule's match on a text of some extent.
type occasion struct {
	rule   int
	extent Extent
}

// RuleCounts counts on which normal requests, of which sites, each CRS rule matches, and on how long a text. Counts of
// disjoint traffic add up, also where a site's traffic is spread over several of them.
type RuleCounts struct {
	Requests int
	matches  map[occasion]int                 // requests
	sites    map[string]map[occasion]struct{} // site → what any of its requests showed
}

// NewRuleCounts returns empty counts.
func NewRuleCounts() *RuleCounts {
	return &RuleCounts{matches: map[occasion]int{}, sites: map[string]map[occasion]struct{}{}}
}

// Add counts one normal request of a site. stretch tells for each of its values the length in bytes of the stretch of its
// text that looks like an attack (see [Text]), 0 where none does.
func (c *RuleCounts) Add(v *request.View, stretch []int, site string) {
	c.Requests++
	seen := c.site(site)
	for i := range v.Matches {
		for o := range occasions(v, stretch, &v.Matches[i]) {
			c.matches[o]++
			seen[o] = struct{}{}
		}
	}
}

// occasions lists, each once, what a match shows.
func occasions(v *request.View, stretch []int, m *request.Match) map[occasion]struct{} {
	set := map[occasion]struct{}{{m.Rule, anyExtent}: {}}
	for j := range m.Values(len(v.Values)) {
		length := len(v.Values[j].Text)
		set[occasion{m.Rule, OfValue(length)}] = struct{}{}
		set[occasion{m.Rule, OfText(stretch[j], length)}] = struct{}{}
	}
	if len(set) == 1 {
		set[occasion{m.Rule, nowhere}] = struct{}{}
	}
	return set
}

func (c *RuleCounts) site(name string) map[occasion]struct{} {
	if c.sites[name] == nil {
		c.sites[name] = map[occasion]struct{}{}
	}
	return c.sites[name]
}

// Merge adds other's counts.
func (c *RuleCounts) Merge(other *RuleCounts) {
	c.Requests += other.Requests
	for o, n := range other.matches {
		c.matches[o] += n
	}
	for site, seen := range other.sites {
		maps.Copy(c.site(site), seen)
	}
}

// Rules tells how surprising a match of a CRS rule is on what is normal: traffic, or harmless texts, whichever shows it more
// (see [CompileRules]). It is immutable.
type Rules struct {
	seen   map[occasion]odds
	unseen odds
}

// odds are two probabilities, 0..1: that a normal request shows an occasion, and that a site's normal traffic ever does.
type odds struct{ rate, spread float32 }

// neighbour is the weight of the counts of the next shorter and next longer extent in those of an extent.
const neighbour = 0.25

// CompileRules estimates the probabilities from counts of normal traffic, with half a match added to each so that what was
// never seen is rare and not impossible (Krichevsky and Trofimov, 1981). Harmless texts that are no traffic (noise; nil where
// there are none) count apart: of an occasion's probabilities in traffic and among them the larger one holds, and a kind of such
// texts (a site of the counts) that ever shows it is to the others as a site is to sites. What harmless texts trip over proves little,
// however rare such texts are in the traffic at hand.
func CompileRules(traffic, harmless *RuleCounts) *Rules {
	requests, sites := float64(traffic.Requests)+1, float64(len(traffic.sites))+1
	r := &Rules{seen: map[occasion]odds{}, unseen: odds{float32(0.5 / requests), float32(0.5 / sites)}}
	for o, n := range traffic.smoothed() {
		r.seen[o] = odds{float32(min((n.requests+0.5)/requests, 1)), float32(min((n.sites+0.5)/sites, 1))}
	}
	if harmless == nil {
		return r
	}
	requests, sites = float64(harmless.Requests)+1, float64(len(harmless.sites))+1
	for o, n := range harmless.smoothed() {
		known := r.odds(o)
		r.seen[o] = odds{max(known.rate, float32(min(n.requests/requests, 1))), max(known.spread, float32(min(n.sites/sites, 1)))}
	}
	return r
}

// shown is how many requests, and how many sites, show an occasion.
type shown struct{ requests, sites float64 }

// smoothed returns for each occasion that the requests show, and for those of the next shorter and next longer extents, how
// many show it, its neighbours counted in part.
func (c *RuleCounts) smoothed() map[occasion]shown {
	raw := map[occasion]shown{}
	for o, n := range c.matches {
		raw[o] = shown{requests: float64(n)}
	}
	for _, seen := range c.sites {
		for o := range seen {
			n := raw[o]
			n.sites++
			raw[o] = n
		}
	}
	sum := map[occasion]shown{}
	for o, n := range raw {
		add := func(e Extent, share float64) {
			near := occasion{o.rule, e}
			was := sum[near]
			sum[near] = shown{was.requests + share*n.requests, was.sites + share*n.sites}
		}
		add(o.extent, 1)
		for _, near := range []Extent{o.extent.shorter(), o.extent.longer()} {
			if near != o.extent {
				add(near, neighbour)
			}
		}
	}
	return sum
}

// How much of a site's own normal traffic it takes to believe it rather than the prior: so many requests weigh as much
// as the prior rate, and an occasion seen on so many requests is half believed to belong to the site, if these are
// more than a share of its traffic that may be attacks. That a site has never shown an occasion counts up to a limit:
// sites change.
const (
	priorRequests = 50
	priorMatches  = 3
	attackShare   = 0.02
	mostAbsence   = 1000
)

// believed is how many of the requests that show something count as normal: all of those that are trusted and of those that
// look like attacks, what is more than the share of the traffic that may be attacks.
func believed(trusted, doubted, requests int) float64 {
	return float64(trusted) + max(float64(doubted)-attackShare*float64(requests), 0)
}

// Adapt returns the probabilities as they are on one site, of whose traffic counts are at hand, of requests that look like
// attacks apart: the present probabilities are the prior, so that a young site is not over-confident. A rule that fires on all of a
// site's normal traffic no longer surprises there, one that never did surprises more; attacks among the traffic hardly
// change what is rare, as long as they are few.
func (r *Rules) Adapt(trusted, doubted *RuleCounts) *Rules {
	out := &Rules{seen: maps.Clone(r.seen), unseen: r.unseen}
	requests := trusted.Requests + doubted.Requests
	absence := priorRequests / float32(priorRequests+min(requests, mostAbsence))
	for o, prior := range r.seen {
		out.seen[o] = odds{max(prior.rate*absence, math.SmallestNonzeroFloat32), prior.spread}
	}
	for o := range trusted.matches {
		out.seen[o] = r.odds(o).adapt(believed(trusted.matches[o], doubted.matches[o], requests), requests)
	}
	for o, n := range doubted.matches {
		if believed := believed(trusted.matches[o], n, requests); believed > 0 {
			out.seen[o] = r.odds(o).adapt(believed, requests)
		}
	}
	return out
}

// adapt returns the odds of what a number of a site's requests show.
func (p odds) adapt(shown float64, requests int) odds {
	n := float64(requests)
	known := shown / (shown + priorMatches + attackShare*n)
	return odds{
		float32((shown + priorRequests*float64(p.rate)) / (n + priorRequests)),
		p.spread + (1-p.spread)*float32(known),
	}
}

// Number is the number of occasions, pairs of a rule and an extent, that normal traffic showed.
func (r *Rules) Number() int { return len(r.seen) }

func (r *Rules) odds(o occasion) odds {
	if p, ok := r.seen[o]; ok {
		return p
	}
	return r.unseen
}

// Rarity is the probability, 0..1, that the rule matches a normal request; 0 if it never did.
func (r *Rules) Rarity(rule int) float64 { return r.Rate(rule, anyExtent) }

// Rate is the probability, 0..1, that a normal request shows a rule's match on a value of extent e; 0 if none ever did, nor
// one of the next shorter or longer extent.
func (r *Rules) Rate(rule int, e Extent) float64 { return float64(r.seen[occasion{rule, e}].rate) }

// Surprise is the information in a rule's match on a value of extent e under normal traffic, in nats: −ln of the
// probability that a normal request shows it.
func (r *Rules) Surprise(rule int, e Extent) float64 {
	return -math.Log(float64(r.odds(occasion{rule, e}).rate))
}

// Novelty is −ln of the probability that a site's normal traffic ever shows a rule's match on a value of extent e, in nats:
// false positives come in sites, and what many sites trip over proves little, however rare it is in all.
func (r *Rules) Novelty(rule int, e Extent) float64 {
	return -math.Log(float64(r.odds(occasion{rule, e}).spread))
}

// Nowhere is the extent of a match that names no value.
const Nowhere = nowhere

// MaxOccasions bounds a table.
const MaxOccasions = 1 << 14

const occasionSize = 13

// AppendBinary appends the probabilities of what was never seen (float32 rate, float32 spread), uint32 number of
// occasions, and for each, by rising rule and extent, uint32 rule, uint8 extent, float32 rate, float32 spread (little
// endian).
func (r *Rules) AppendBinary(b []byte) ([]byte, error) {
	if len(r.seen) > MaxOccasions {
		return nil, fmt.Errorf("evidence: matches of %d pairs of a rule and a length (limit %d)", len(r.seen), MaxOccasions)
	}
	b = appendOdds(b, r.unseen)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.seen)))
	for _, o := range slices.SortedFunc(maps.Keys(r.seen), occasion.compare) {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(o.rule)), byte(o.extent))
		b = appendOdds(b, r.seen[o])
	}
	return b, nil
}

func (o occasion) compare(p occasion) int {
	return cmp.Or(cmp.Compare(o.rule, p.rule), cmp.Compare(o.extent, p.extent))
}

func appendOdds(b []byte, p odds) []byte {
	b = binary.LittleEndian.AppendUint32(b, math.Float32bits(p.rate))
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(p.spread))
}

// DecodeRules reads what AppendBinary wrote; b must hold nothing else.
func DecodeRules(b []byte) (*Rules, error) {
	const head = 12
	if len(b) < head {
		return nil, fmt.Errorf("evidence: rules: %w: cut short", ErrFormat)
	}
	unseen, err := decodeOdds(b)
	if err != nil {
		return nil, err
	}
	n := int64(binary.LittleEndian.Uint32(b[8:]))
	b = b[head:]
	if n > MaxOccasions || n*occasionSize != int64(len(b)) {
		return nil, fmt.Errorf("evidence: rules: %w: %d entries (limit %d) in %d bytes", ErrFormat, n, MaxOccasions, len(b))
	}
	r := &Rules{seen: make(map[occasion]odds, n), unseen: unseen}
	last := occasion{rule: -1}
	for range n {
		o := occasion{int(binary.LittleEndian.Uint32(b)), Extent(b[4])}
		p, err := decodeOdds(b[5:])
		if err != nil || o.compare(last) <= 0 || o.extent >= extents {
			return nil, fmt.Errorf("evidence: rules: %w: rule %d", ErrFormat, o.rule)
		}
		r.seen[o], last, b = p, o, b[occasionSize:]
	}
	return r, nil
}

func decodeOdds(b []byte) (odds, error) {
	p := odds{math.Float32frombits(binary.LittleEndian.Uint32(b)), math.Float32frombits(binary.LittleEndian.Uint32(b[4:]))}
	if !(p.rate > 0 && p.rate <= 1 && p.spread > 0 && p.spread <= 1) { // also for NaN
		return p, fmt.Errorf("evidence: rules: %w: probabilities %v and %v", ErrFormat, p.rate, p.spread)
	}
	return p, nil
}
