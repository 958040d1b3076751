// SPDX-License-Identifier: Apache-2.0

// Package features turns a [request.View] into the vector of numbers that an isolation forest judges.
//
// What the numbers mean is a [Schema]; a model file names its schema and carries its hash, so that a forest is never
// asked about numbers that it was not trained on. [Extractor.Extract] is the one extractor: training and serving
// both call it.
package features

import (
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/request"
)

// Schema is a named, ordered list of features.
type Schema struct {
	Name     string
	Features []Feature
	extract  func(*Extractor, *Scratch, *request.View)
}

// Feature is one number of a vector.
type Feature struct{ Name, Doc string }

// Hash identifies the schema: SHA-256 over its name and its features' names in order.
func (s *Schema) Hash() [sha256.Size]byte {
	h := sha256.New()
	io.WriteString(h, s.Name)
	for _, f := range s.Features {
		fmt.Fprintf(h, "\x00%s", f.Name)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// String gives the name and the features' names, for error messages.
func (s *Schema) String() string {
	text := s.Name + "("
	for i, f := range s.Features {
		if i > 0 {
			text += " "
		}
		text += f.Name
	}
	return text + ")"
}

// Schemas lists the schemas that this version knows.
func Schemas() []*Schema { return []*Schema{Verdict, Thesis} }

// ByName finds a schema.
func ByName(name string) (*Schema, bool) {
	for _, s := range Schemas() {
		if s.Name == name {
			return s, true
		}
	}
	return nil, false
}

// Extractor turns views into vectors of its schema. It is safe for concurrent use, each caller with its own Scratch.
type Extractor struct {
	Schema   *Schema
	Chains   *evidence.Chains   // nil for a schema without payload evidence
	Rules    *evidence.Rules    // nil for a schema without rule evidence
	Baseline *evidence.Baseline // nil for a model of no site
}

// Scratch holds one extraction's buffers and results. A zero Scratch is ready; after warm-up it does not allocate.
type Scratch struct {
	Vector   []float32
	Found    Found
	scanner  evidence.Scanner
	flagged  []bool
	rulesOn  []said         // by value
	votes    evidence.Votes // of the payload rules that count
	values   []Measured     // scanned
	measured []Measured     // given, else nil
	trace    *Trace         // nil unless somebody asked
}

// Found is the strongest evidence that an extraction came across.
type Found struct {
	Value     int                       // index of the value of which both witnesses say most, of those with payload evidence; -1 = none
	Evidence  float64                   // its payload evidence, nats
	Posterior [evidence.Classes]float64 // log-probability of each attack class given that it is an attack
	Quote     [MaxQuote]byte            // the stretch, decoded, cut
	QuoteLen  int                       //
	Stretch   int                       // the length of the whole stretch, bytes
	Rules     int                       // the number of rules that look for attacks and matched
	Rule      int                       // of the rules that look for attacks, the one whose match surprises most; 0 = none
	Rate      float64                   // how often normal requests show such a match, 0..1; 0 = never
}

// MaxQuote bounds the quoted stretch, in bytes.
const MaxQuote = 48

// Extract fills s.Vector and s.Found from the view. It is total: any view gives finite numbers, in time linear in
// its size.
func (x *Extractor) Extract(s *Scratch, v *request.View) {
	if cap(s.Vector) < len(x.Schema.Features) {
		s.Vector = make([]float32, len(x.Schema.Features))
	}
	s.Vector = s.Vector[:len(x.Schema.Features)]
	s.Found = Found{Value: -1}
	x.Schema.extract(x, s, v)
}
