// SPDX-License-Identifier: Apache-2.0

// Package training makes models: it gathers a [Corpus] of replayed requests and attack payloads, counts both
// witnesses' evidence, grows the forest on normal traffic and calibrates the score.
package training

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/fnv"
	"slices"

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

// HalfOf tells by a hash of its group to which half a request belongs.
func HalfOf(r *traffic.Request) Half {
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
	Normal  []Normal       // trains the forest and both witnesses
	Attacks []Attack       // trains the attack chains
	Tuning  []request.View // calibrates the score; normal requests
	rows    [][sha256.Size]byte
}

// Normal is a normal request.
type Normal struct {
	View  request.View
	Group string // what must stay on one side of a split
	Set   string
}

// Attack is the text of an attack.
type Attack struct {
	Text  string
	Class evidence.Class
}

// AddNormal takes a normal request for training.
func (c *Corpus) AddNormal(rec *replay.Recorded) {
	c.Normal = append(c.Normal, Normal{rec.View, Group(rec.Request), rec.Request.Set})
	c.rows = append(c.rows, rec.Request.Digest())
}

// AddAttack takes an attack for training. Of a whole request, the values that CRS's payload rules matched at paranoia
// level 4 are its text; the rest of it is wrapping.
func (c *Corpus) AddAttack(rec *replay.Recorded) {
	c.rows = append(c.rows, rec.Request.Digest())
	class := evidence.ClassOf(rec.Request.Class)
	if rec.Request.IsPayload() {
		c.Attacks = append(c.Attacks, Attack{rec.Request.Payload, class})
		return
	}
	for i, flagged := range rec.View.Flagged(nil) {
		if flagged {
			c.Attacks = append(c.Attacks, Attack{rec.View.Values[i].Text, class})
		}
	}
}

// AddTuning takes a normal request for calibration.
func (c *Corpus) AddTuning(rec *replay.Recorded) {
	c.Tuning = append(c.Tuning, rec.View)
}

// Manifest lists the digests of the training rows in hexadecimal, rising, without repeats.
func (c *Corpus) Manifest() []string {
	list := make([]string, len(c.rows))
	for i, row := range c.rows {
		list[i] = hex.EncodeToString(row[:])
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Digest identifies the corpus: SHA-256 over its manifest, a line each.
func (c *Corpus) Digest() string {
	h := sha256.New()
	for _, row := range c.Manifest() {
		h.Write([]byte(row))
		h.Write([]byte{'\n'})
	}
	return hex.EncodeToString(h.Sum(nil))
}
