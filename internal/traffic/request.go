// SPDX-License-Identifier: Apache-2.0

// Package traffic is where requests come from: it reads labelled HTTP requests from JSON lines, raw HTTP or
// curl-like flags, and replays them through a Coraza transaction.
//
// docs/requests.md describes the JSON lines. Everything that judges a recorded request goes through
// [Request.Replay], so that training, evaluation and scoring see what a server in front of the same rules would see.
package traffic

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// The labels that a row can carry.
const (
	Benign = "benign"
	Attack = "attack"
)

// Request is one row of traffic: an HTTP request as it was recorded, or a payload row, which holds the decoded text of
// an attack and no request around it.
type Request struct {
	Set    string `json:"set,omitempty"`    // the collection that the row belongs to; evaluation groups by it
	Origin string `json:"origin,omitempty"` // who made the row: what must stay on one side of a split
	Label  string `json:"label,omitempty"`  // Benign or Attack
	Class  string `json:"class,omitempty"`  // kind of attack: sqli, xss, rce…; empty for benign traffic

	Method  string      `json:"method,omitempty"`
	URI     string      `json:"uri,omitempty"`     // the request target as sent, still encoded
	Headers [][2]string `json:"headers,omitempty"` // name and value, in the order and case in which they were sent
	Body    []byte      `json:"-"`                 // "body" where it is UTF-8, "body_b64" elsewhere

	Payload string `json:"payload,omitempty"` // decoded attack text; only in a row without a request

	Src         string `json:"src,omitempty"`           // where the row was found; for people
	Site        string `json:"site,omitempty"`          // the brand or site that was visited
	Pick        string `json:"pick,omitempty"`          // how the row was sampled from its source
	Kind        string `json:"kind,omitempty"`          // what a constructed request imitates
	App         string `json:"app,omitempty"`           // the application that it belongs to
	Rule        int    `json:"rule,omitempty"`          // the CRS rule that the row tests
	Paranoia    int    `json:"pl,omitempty"`            // that rule's paranoia level
	Doubt       bool   `json:"doubt,omitempty"`         // the label is uncertain
	HostInTrain bool   `json:"host_in_train,omitempty"` // the same host occurs in training traffic

	File string `json:"-"` // where a Reader found the row: "-" for standard input, empty if no Reader did
	Line int    `json:"-"` // counted from 1
}

// IsPayload reports whether the row holds a bare payload instead of a request.
func (r *Request) IsPayload() bool { return r.Payload != "" }

// Validate reports why a labelled row cannot be used, nil if it can.
func (r *Request) Validate() error {
	if r.Label != Benign && r.Label != Attack {
		return fmt.Errorf("label %q (want %q or %q)", r.Label, Benign, Attack)
	}
	if r.IsPayload() {
		if r.Label != Attack {
			return fmt.Errorf("a payload labelled %q (want %q: a payload is the text of an attack)", r.Label, Attack)
		}
		if r.Method != "" || r.URI != "" || r.Headers != nil || r.Body != nil {
			return errors.New("both a payload and a request (want one of them)")
		}
		return nil
	}
	switch {
	case r.Method == "" && r.URI == "":
		return errors.New("neither a request (method and uri) nor a payload")
	case r.Method == "":
		return errors.New("method is missing")
	case r.URI == "":
		return errors.New("uri is missing")
	}
	return nil
}

// fields has Request's JSON fields without its methods.
type fields Request

// UnmarshalJSON decodes one row. It does not call Validate.
func (r *Request) UnmarshalJSON(data []byte) error {
	*r = Request{}
	wire := struct {
		*fields
		Headers [][]string `json:"headers"` // [2]string would drop a third element in silence
		Body    *string    `json:"body"`
		BodyB64 []byte     `json:"body_b64"`
	}{fields: (*fields)(r)}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	for i, h := range wire.Headers {
		if len(h) != 2 {
			return fmt.Errorf("headers[%d] has %d elements (want a name and a value)", i, len(h))
		}
		r.Headers = append(r.Headers, [2]string{h[0], h[1]})
	}
	switch {
	case wire.Body != nil && wire.BodyB64 != nil:
		return errors.New("both body and body_b64 (want one of them)")
	case wire.Body != nil && *wire.Body != "":
		r.Body = []byte(*wire.Body)
	case len(wire.BodyB64) > 0:
		r.Body = wire.BodyB64
	}
	return nil
}

// MarshalJSON encodes the row. JSON holds text, so a method, URI or header that is not UTF-8 is an error: encoding/json
// would change it in silence.
func (r *Request) MarshalJSON() ([]byte, error) {
	texts := []string{r.Method, r.URI, r.Payload}
	for _, h := range r.Headers {
		texts = append(texts, h[0], h[1])
	}
	for _, text := range texts {
		if !utf8.ValidString(text) {
			return nil, fmt.Errorf("traffic: %q is not UTF-8 (only a body may be binary)", text)
		}
	}
	wire := struct {
		*fields
		Body    string `json:"body,omitempty"`
		BodyB64 []byte `json:"body_b64,omitempty"`
	}{fields: (*fields)(r)}
	if utf8.Valid(r.Body) {
		wire.Body = string(r.Body)
	} else {
		wire.BodyB64 = r.Body
	}
	return json.Marshal(wire)
}
