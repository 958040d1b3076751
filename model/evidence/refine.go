// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"math"
	"math/rand/v2"
)

// Sample is a text on which estimated chains are corrected, and which tells the classes of attacks apart.
//
// Chains estimated from counts answer which source a token comes from. What a verdict needs is that the best stretch
// of an attack stands out from the best stretches of normal texts, of which the worst matter most. So the n-grams get
// additive corrections that minimise the logistic loss of the samples' evidence: a normal text with a stretch that
// looks like an attack lowers the n-grams of that stretch, an attack that hardly stands out raises its own. Texts that
// are on their side already change nothing, so this is training on hard negatives.
type Sample struct {
	Text   string
	Attack bool
	Class  Class   // of an attack
	Weight float64 // share in the loss, relative to other samples; > 0
}

// The loss is logistic in (evidence − middle) / width, both in nats; corrections are learned by stochastic gradient
// descent with AdaGrad's step sizes (Duchi, Hazan and Singer, JMLR 12, 2011).
const (
	refineMiddle = 6
	refineWidth  = 4
	refineEpochs = 5
	refineRate   = 0.2
	refineFloor  = 0.1  // of a squared gradient, which keeps first steps bounded
	refineStop   = 0.01 // gradients below it are not worth a step
	refineOpen   = 40   // tokens of an attack without any stretch that are raised together
)

// refiner holds the samples cut into tokens, and the corrections.
type refiner struct {
	base    []float64      // uncorrected ratio of each token of all samples, nats
	again   []bool         // whether its n-gram came before in the sample
	grams   [][Order]int32 // entries of the n-grams that end at each token, shortest first; -1 ends the list
	samples []refineSample
	weights []float64 // correction of each entry, nats
	squares []float64 // sum of its squared gradients
}

type refineSample struct {
	lo, hi int // its tokens in base and grams
	attack bool
	weight float64
}

// refine corrects the ratios of c's entries on the samples.
func (c *Chains) refine(suffixes []int32, samples []Sample, rng *rand.Rand) {
	r := &refiner{weights: make([]float64, len(c.entries)), squares: make([]float64, len(c.entries))}
	r.tokenise(c, samples)
	order := rng.Perm(len(r.samples))
	for range refineEpochs {
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, i := range order {
			r.step(r.samples[i])
		}
	}
	for i := range c.entries { // a longer n-gram takes its suffixes' corrections along, as it takes their place
		x := float64(c.entries[i].ratio) / scale
		for j := int32(i); j >= 0; j = suffixes[j] {
			x += r.weights[j]
		}
		c.entries[i].ratio = int8(math.Round(min(max(scale*x, math.MinInt8), math.MaxInt8)))
	}
}

func (r *refiner) tokenise(c *Chains, samples []Sample) {
	index := make(map[uint32]int32, len(c.entries))
	for i, e := range c.entries {
		index[e.key] = int32(i)
	}
	var buf []byte
	var met recent
	for _, s := range samples {
		met.start()
		sample := refineSample{lo: len(r.base), attack: s.Attack, weight: s.Weight}
		buf = appendDecoded(buf[:0], s.Text)
		var before history
		for rest := buf; len(rest) > 0; {
			tok, e, n := c.next(rest)
			rest = rest[n:]
			r.grams = append(r.grams, gramsAt(index, &before, tok))
			ratio, gram := c.ratio(&before, tok, e)
			r.base = append(r.base, float64(ratio)/scale)
			r.again = append(r.again, met.again(gram))
		}
		sample.hi = len(r.base)
		if sample.hi > sample.lo {
			r.samples = append(r.samples, sample)
		}
	}
}

// gramsAt lists the entries of the known n-grams that end at tok.
func gramsAt(index map[uint32]int32, h *history, tok token) (grams [Order]int32) {
	key, n := tok, 0
	for {
		i, ok := index[key]
		if !ok {
			break
		}
		grams[n] = i
		n++
		if n == Order || n > h.known {
			break
		}
		key = extend(h.keys[n], tok)
	}
	for ; n < Order; n++ {
		grams[n] = -1
	}
	return grams
}

// step moves the corrections down the gradient of one sample's loss.
func (r *refiner) step(s refineSample) {
	lo, hi, evidence := r.stretch(s)
	label := 0.0
	if s.attack {
		label = 1
		if hi == lo {
			hi = lo + min(s.hi-s.lo, refineOpen)
		}
	}
	gradient := (label - 1/(1+math.Exp((refineMiddle-evidence)/refineWidth))) * s.weight
	if hi == lo || math.Abs(gradient) < refineStop {
		return
	}
	gradient /= math.Sqrt(float64(hi - lo))
	for i := lo; i < hi; i++ {
		for _, e := range r.grams[i] {
			if e < 0 {
				break
			}
			r.squares[e] += gradient * gradient
			r.weights[e] += refineRate * gradient / math.Sqrt(refineFloor+r.squares[e])
		}
	}
}

// stretch finds the best stretch of a sample under the present corrections, as [Chains.Scan] will.
func (r *refiner) stretch(s refineSample) (lo, hi int, evidence float64) {
	lo, hi = s.lo, s.lo
	best, sum, from := 0.0, 0.0, s.lo
	for i := s.lo; i < s.hi; i++ {
		x := r.base[i]
		for _, e := range r.grams[i] {
			if e < 0 {
				break
			}
			x += r.weights[e]
		}
		if sum <= 0 {
			sum, from = 0, i
		}
		if x > 0 && r.again[i] {
			x *= 0.75
		}
		sum += min(max(x, -clip), clip) - float64(drift)/scale
		if sum > best {
			best, lo, hi = sum, from, i+1
		}
	}
	return lo, hi, best - math.Log(float64(s.hi-s.lo+1))
}
