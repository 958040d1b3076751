// SPDX-License-Identifier: Apache-2.0

package training

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/features"
	"github.com/mlverdict/mlverdict/model/request"
)

// Summary is what adapting a model to a site needs to know of the site's traffic: a set of requests, each reduced to
// numbers. It holds no text of any request, and names as hashes. Being a set, it does not care in which order requests
// come, nor how often, nor in how many summaries of which it was merged.
type Summary struct {
	measure  features.Extractor
	chains   [sha256.Size]byte // of the chains that measured the texts
	requests map[[sha256.Size]byte]trace
	scratch  features.Scratch
}

// trace is what is left of a request. Of its view there are the scores, the matches, and the places and lengths of the values.
type trace struct {
	view   request.View
	values []features.Measured
}

// Adaptable tells why a model cannot be adapted to a site; nil where it can.
func Adaptable(m *model.Model) error {
	parts := m.Parts()
	switch {
	case parts.Schema != features.Verdict:
		return fmt.Errorf("training: a model of schema %s cannot be adapted to a site (want %s)", parts.Schema.Name, features.Verdict.Name)
	case parts.Baseline != nil: // what its first traffic taught would count twice in the rules, and be lost in the parameters
		return fmt.Errorf("training: model %s was adapted to a site already (want model %s, of which it was made, and all of the site's traffic)",
			m.ID(), parts.Data.Base)
	}
	return nil
}

// NewSummary returns an empty summary for adapting a base model, or another one with the same payload chains.
func NewSummary(base *model.Model) (*Summary, error) {
	if err := Adaptable(base); err != nil {
		return nil, err
	}
	parts := base.Parts()
	chains, err := chainsDigest(base)
	if err != nil {
		return nil, err
	}
	return &Summary{
		measure:  features.Extractor{Schema: parts.Schema, Chains: parts.Chains, Rules: parts.Rules},
		chains:   chains,
		requests: map[[sha256.Size]byte]trace{},
	}, nil
}

func chainsDigest(m *model.Model) ([sha256.Size]byte, error) {
	b, err := m.Parts().Chains.AppendBinary(nil)
	return sha256.Sum256(b), err
}

// Add takes in a request as CRS left it at paranoia level 4. It reports whether the request is new.
func (s *Summary) Add(r *traffic.Request, v *request.View) bool {
	digest := r.Digest()
	if _, known := s.requests[digest]; known {
		return false
	}
	s.requests[digest] = s.reduce(v)
	return true
}

// filler stands for texts of which only the length is known.
var filler = strings.Repeat(" ", features.MaxLength)

// evidenceStep is the resolution of payload evidence in a summary, in nats.
const evidenceStep = 1. / 16

func (s *Summary) reduce(v *request.View) trace {
	t := trace{view: request.View{Paranoia: request.ParanoiaLevels, Earned: v.Earned, Limit: v.Limit}}
	at := v.AtParanoia(request.ParanoiaLevels)
	t.values = s.measure.Measure(&s.scratch, nil, &at)
	t.view.Values = make([]request.Value, len(v.Values))
	for i, value := range v.Values {
		t.view.Values[i] = request.Value{Place: value.Place, Text: filler[:min(len(value.Text), features.MaxLength)]}
		t.values[i].Evidence = float64(steps(t.values[i].Evidence)) * evidenceStep
	}
	for _, m := range v.Matches {
		t.view.Matches = append(t.view.Matches, request.Match{Rule: m.Rule, Paranoia: m.Paranoia, Spans: slices.Clone(m.Spans)})
	}
	return t
}

func steps(nats float64) uint32 { return uint32(min(nats/evidenceStep+0.5, maxSteps)) }

// Len is the number of requests.
func (s *Summary) Len() int { return len(s.requests) }

// flagged counts the requests that CRS denies at a paranoia level.
func (s *Summary) flagged(pl int) (n int) {
	for _, t := range s.requests {
		if v := t.view.AtParanoia(pl); v.Denied() {
			n++
		}
	}
	return n
}

// Merge takes in the requests of another summary, each once. The two must have been made for the same chains.
func (s *Summary) Merge(other *Summary) error {
	if s.chains != other.chains {
		return errOtherModel
	}
	maps.Copy(s.requests, other.requests)
	return nil
}

// digests lists the requests in rising order.
func (s *Summary) digests() [][sha256.Size]byte {
	return slices.SortedFunc(maps.Keys(s.requests), func(a, b [sha256.Size]byte) int { return bytes.Compare(a[:], b[:]) })
}

// Manifest lists the digests of the requests in hexadecimal, rising.
func (s *Summary) Manifest() []string {
	var list []string
	for _, digest := range s.digests() {
		list = append(list, hex.EncodeToString(digest[:]))
	}
	return list
}

// shown tells what the request shows in each of its parameters.
func (t *trace) shown() map[evidence.Param]evidence.Shown {
	params := map[evidence.Param]evidence.Shown{}
	for _, value := range t.values {
		p := params[value.Param]
		p.Evidence = max(p.Evidence, value.Evidence)
		params[value.Param] = p
	}
	for _, m := range t.view.Matches {
		for j := range m.Values(len(t.values)) {
			name := t.values[j].Param
			if p := params[name]; !slices.Contains(p.Rules, m.Rule) {
				p.Rules = append(p.Rules, m.Rule)
				params[name] = p
			}
		}
	}
	return params
}
