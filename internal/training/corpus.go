// SPDX-License-Identifier: Apache-2.0

// Package training makes models: it gathers a [Corpus] of replayed requests and attack payloads, counts both
// witnesses' evidence, grows the forest on normal traffic and calibrates the score.
package training

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash/fnv"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mlverdict/mlverdict/internal/augment"
	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/request"
)

// Half is one half of the sites of a data set: one tunes, the other tests, so that no site is on both sides.
type Half string

// The halves.
const (
	Tune Half = "tune"
	Test Half = "test"
)

// HalfOf tells by a hash of its group to which half a request belongs. Requests that name neither site nor application
// nor kind cannot be kept apart: they all tune, and none of them tests.
func HalfOf(r *traffic.Request) Half {
	if r.Site == "" && r.App == "" && r.Kind == "" {
		return Tune
	}
	h := fnv.New32a()
	h.Write([]byte(Group(r)))
	if h.Sum32()&1 == 0 {
		return Tune
	}
	return Test
}

// HeldOut picks a fifth of the requests, by their digest, to calibrate on where no tuning requests are given.
func HeldOut(r *traffic.Request) bool {
	d := r.Digest()
	return d[0]%5 == 0
}

// Group names what must stay on one side of a split: the site, else the application or kind, else the origin.
func Group(r *traffic.Request) string {
	for _, name := range []string{r.Site, r.App, r.Kind} {
		if name != "" {
			return name
		}
	}
	return r.Origin
}

// Corpus is what a model is trained on.
type Corpus struct {
	Normal     []Normal  // trains the forest and both witnesses, and calibrates the score
	Attacks    []Attack  // trains the attack chains
	Harmful    []Harmful // with Normal and Noise, weighs the forest's leaves
	Noise      []Normal  // requests that carry noise: as Normal, but neither trains the chains nor grows the forest
	Tuning     []Normal  // calibrates the score and trains nothing
	rows       [][sha256.Size]byte
	attackRows []*traffic.Request // the rows that Attacks were taken from, and those that gave none
	carried    map[string]int     // text in attack requests → requests that carry it
}

// Normal is a normal request.
type Normal struct {
	View  request.View
	Group string // what must stay on one side of a split
	Row   *traffic.Request
}

// Attack is the text of an attack.
type Attack struct {
	Text  string
	Class evidence.Class
	Group string           // what must stay on one side of a split
	Row   *traffic.Request // that it was taken from; nil of a word list
}

// Harmful is a request that carries an attack.
type Harmful struct {
	View    request.View
	Group   string // that of the attack it carries
	Payload string // the value that is the attack, where that is known
}

// AddNormal takes a normal request for training, unless Coraza refuses it by itself: such a request never reaches the
// model.
func (c *Corpus) AddNormal(rec *replay.Recorded) {
	if !rec.Refused {
		c.Normal = append(c.Normal, Normal{rec.View, Group(rec.Request), rec.Request})
		c.rows = append(c.rows, rec.Request.Digest())
	}
}

// wrapping is the number of attack requests from which on a text that all of them carry is taken for their wrapping,
// such as the user agent of the tool that made them.
const wrapping = 10

// AddAttack takes an attack for training. Of a whole request, the values that CRS's payload rules matched at paranoia
// level 4 are its text; the rest of it is wrapping.
func (c *Corpus) AddAttack(rec *replay.Recorded) {
	c.rows, c.attackRows = append(c.rows, rec.Request.Digest()), append(c.attackRows, rec.Request)
	class, group := evidence.ClassOf(rec.Request.Class), AttackGroup(rec.Request)
	if rec.Request.IsPayload() {
		c.Attacks = append(c.Attacks, Attack{rec.Request.Payload, class, group, rec.Request})
		return
	}
	c.AddHarmful(rec, group, "")
	if c.carried == nil {
		c.carried = map[string]int{}
	}
	counted := map[string]bool{}
	for _, v := range rec.View.Values {
		if !counted[v.Text] {
			counted[v.Text] = true
			c.carried[v.Text]++
		}
	}
	for i, flagged := range rec.View.Flagged(nil) {
		if flagged {
			c.Attacks = append(c.Attacks, Attack{rec.View.Values[i].Text, class, group, rec.Request})
		}
	}
}

// AddHarmful takes a request that carries the attack of a group, a known payload or "".
func (c *Corpus) AddHarmful(rec *replay.Recorded, group, payload string) {
	if !rec.Refused {
		c.Harmful = append(c.Harmful, Harmful{rec.View, group, payload})
	}
}

// mostEmbedded is how many bare payloads are put into requests at most, and no more than there are envelopes.
const mostEmbedded = 4000

// AddGrammars takes payloads of our own grammars (see [Grammars]).
func (c *Corpus) AddGrammars(seed uint64) {
	for payload := range Grammars(seed) {
		c.AddAttack(&replay.Recorded{Request: payload})
	}
}

// AddMadeUp replays what is made up and takes it: requests that carry some of the payloads taken so far, and requests that carry
// noise. The envelopes are normal requests.
func (c *Corpus) AddMadeUp(ctx context.Context, cache *replay.Cache, envelopes []*traffic.Request, seed uint64) error {
	payloads := slices.DeleteFunc(slices.Clone(c.attackRows), func(row *traffic.Request) bool { return !row.IsPayload() })
	embedded := min(mostEmbedded, len(payloads), len(envelopes))
	if err := c.embed(ctx, cache, payloads, envelopes, embedded, rand.New(rand.NewPCG(seed, 1))); err != nil {
		return err
	}
	return c.addNoise(ctx, cache, min(noiseRequests, len(envelopes)/len(requestFamilies)), rand.New(rand.NewPCG(seed, 6)))
}

// embed puts up to n payloads, as many of each class, into envelopes (see [augment.Embedded]), replays them and takes them
// as harmful requests.
func (c *Corpus) embed(ctx context.Context, cache *replay.Cache, payloads, envelopes []*traffic.Request, n int, rng *rand.Rand) error {
	var requests, carried []*traffic.Request
	for request, payload := range augment.Embedded(balanced(payloads, n, rng), envelopes, n, rng) {
		requests, carried = append(requests, request), append(carried, payload)
	}
	return replayAll(ctx, cache, requests, func(i int, rec *replay.Recorded) {
		c.AddHarmful(rec, AttackGroup(carried[i]), carried[i].Payload)
	})
}

// replayAll calls take with the recording of each request, in order. It ends at the first error.
func replayAll(ctx context.Context, cache *replay.Cache, requests []*traffic.Request, take func(i int, rec *replay.Recorded)) error {
	i := 0
	for rec := range cache.Recordings(ctx, slices.Values(requests), 0) {
		if rec.Err != nil {
			return rec.Err
		}
		take(i, &rec)
		i++
	}
	return ctx.Err()
}

// balanced draws up to n payloads, at most n divided by the number of classes of each class.
func balanced(payloads []*traffic.Request, n int, rng *rand.Rand) (drawn []*traffic.Request) {
	var taken [evidence.Classes]int
	for _, i := range rng.Perm(len(payloads)) {
		if class := evidence.ClassOf(payloads[i].Class); taken[class] < n/evidence.Classes {
			taken[class]++
			drawn = append(drawn, payloads[i])
		}
	}
	return drawn
}

// AttackGroup names what must stay on one side of a split of attacks: the rule that a request tests, else the text
// without its numbers, since lists repeat their payloads with other constants.
func AttackGroup(r *traffic.Request) string {
	switch {
	case r.Rule != 0:
		return strconv.Itoa(r.Rule)
	case r.IsPayload():
		return numbers.ReplaceAllString(strings.ToLower(r.Payload), "0")
	}
	return numbers.ReplaceAllString(strings.ToLower(r.URI+" "+string(r.Body)), "0")
}

var numbers = regexp.MustCompile("[0-9]+")

// texts returns the attack texts without wrapping.
func (c *Corpus) texts() []Attack {
	return slices.DeleteFunc(slices.Clone(c.Attacks), func(a Attack) bool { return c.carried[a.Text] >= wrapping })
}

// AddTuning takes a normal request for calibration, unless Coraza refuses it by itself.
func (c *Corpus) AddTuning(rec *replay.Recorded) {
	if !rec.Refused {
		c.Tuning = append(c.Tuning, Normal{rec.View, Group(rec.Request), rec.Request})
		c.rows = append(c.rows, rec.Request.Digest())
	}
}

// Flagged counts the requests to calibrate on that CRS denies at a paranoia level.
func (c *Corpus) Flagged(pl int) (n int) {
	for _, list := range [][]Normal{c.Normal, c.Tuning} {
		for i := range list {
			if v := list[i].View.AtParanoia(pl); v.Denied() {
				n++
			}
		}
	}
	return n
}

// Manifest lists the digests of the rows that train or calibrate in hexadecimal, rising, without repeats.
func (c *Corpus) Manifest() []string {
	list := make([]string, len(c.rows))
	for i, row := range c.rows {
		list[i] = hex.EncodeToString(row[:])
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Digest identifies the corpus: SHA-256 over its manifest, a line each.
func (c *Corpus) Digest() string { return digestOf(c.Manifest()) }

func digestOf(manifest []string) string {
	h := sha256.New()
	for _, row := range manifest {
		h.Write([]byte(row))
		h.Write([]byte{'\n'})
	}
	return hex.EncodeToString(h.Sum(nil))
}
