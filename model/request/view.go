// SPDX-License-Identifier: Apache-2.0

// Package request defines what the second verdict sees of an HTTP request: a [View] of a Coraza transaction after
// CRS has looked at it.
//
// There is one way to a view, [View.Read], and both serving and training take it: the operator reads a live
// transaction, training reads a transaction that it replayed. A view is plain data, so a replay can be stored and
// judged again without CRS.
package request

import "iter"

// Place says where in a request a value stood.
type Place uint8

// The places, in the order in which a view sorts its values.
const (
	Path   Place = iota // the path of the URI, decoded
	Query               // an argument of the query string
	Form                // an argument of the body: form field, JSON leaf, multipart field
	Name                // the name of an argument or cookie, where it is more than an identifier
	Cookie              // a cookie
	Header              // a header other than Cookie
	File                // a file name of a multipart body
	XML                 // text or attribute of an XML body
	Body                // a body that no parser took apart
	places
)

var placeNames = [places]string{"path", "query", "form", "name", "cookie", "header", "file", "xml", "body"}

// String returns the place's name in lower case, "unknown" for a place that does not exist.
func (p Place) String() string {
	if p >= places {
		return "unknown"
	}
	return placeNames[p]
}

// Value is one piece of the request's text.
type Value struct {
	Place Place
	Name  string // argument, cookie or header name; empty for path and body
	Text  string // as Coraza hands it to rules: arguments are decoded once, cookies and headers are raw; any bytes
}

// Span is a range of indexes, Lo ≤ i < Hi, into a view's values.
type Span struct{ Lo, Hi int32 }

// Match is one CRS rule that matched.
type Match struct {
	Rule     int    // rule id, 910000..948999
	Paranoia int    // the rule's paranoia level, 1..4
	Score    int    // the anomaly score that its severity stands for: 5, 4, 3 or 2
	Spans    []Span // the values that it matched, sorted, no two the same, though they may overlap; empty if the view holds none
}

// Values yields the indexes of the values that the match names, in a view that has n of them: below 0 and from n on there
// are none, whatever the spans say. What stands in two spans, as where a rule reads the address and its arguments, comes once.
func (m *Match) Values(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		next := 0
		for _, s := range m.Spans {
			for next = max(next, int(s.Lo)); next < min(int(s.Hi), n); next++ {
				if !yield(next) {
					return
				}
			}
		}
	}
}

// View is what the second verdict sees of one request.
type View struct {
	Method   string
	Hour     int    // 0..23
	Paranoia int    // CRS's blocking paranoia level, 1..4
	Earned   [4]int // inbound anomaly score earned by the rules of paranoia levels 1, 2, 3 and 4
	Limit    int    // CRS's inbound anomaly score threshold
	Target   int    // length of the request target as sent, bytes
	Query    int    // length of the query string as sent, bytes
	Size     int    // length of the body, bytes; 0 where Coraza does not tell it (JSON, XML, multipart)
	Values   []Value
	Matches  []Match // by rule id
}

// Score is CRS's blocking inbound anomaly score at the view's paranoia level.
func (v *View) Score() int {
	sum := 0
	for _, earned := range v.Earned[:clampParanoia(v.Paranoia)] {
		sum += earned
	}
	return sum
}

// Denied reports whether CRS alone would deny the request at the view's paranoia level.
func (v *View) Denied() bool { return v.Score() >= v.Limit }

// AtParanoia returns the view as CRS would have left it at blocking paranoia level pl (1..4), provided that v was
// read at pl or above. It shares its values and matches with v.
func (v *View) AtParanoia(pl int) View {
	w := *v
	w.Paranoia = clampParanoia(pl)
	return w
}

// Counts reports whether the match takes part in the blocking score at the view's paranoia level. A detection
// paranoia level above the blocking one yields matches that do not.
func (v *View) Counts(m *Match) bool { return m.Paranoia <= clampParanoia(v.Paranoia) }

// Flagged marks in dst, which it resizes to len(v.Values), the values that a counting match of a payload rule
// (see [Match.Payload]) names, and returns it.
func (v *View) Flagged(dst []bool) []bool {
	dst = append(dst[:0], make([]bool, len(v.Values))...)
	for i := range v.Matches {
		m := &v.Matches[i]
		if !v.Counts(m) || !m.Payload() {
			continue
		}
		for j := range m.Values(len(dst)) {
			dst[j] = true
		}
	}
	return dst
}

// Payload reports whether the rule looks for an attack: CRS's files 913 (scanners), 921 and 922 (attacks on the
// protocol and on multipart) and 930 to 944. Those of 911 and 920 look for breaches of protocol, which clients commit
// too.
func (m *Match) Payload() bool {
	file := m.Rule / 1000
	return file == 913 || file == 921 || file == 922 || file >= 930 && file < 945
}

// ParanoiaLevels is the number of CRS's paranoia levels.
const ParanoiaLevels = 4

func clampParanoia(pl int) int { return min(max(pl, 1), ParanoiaLevels) }
