// SPDX-License-Identifier: Apache-2.0

package request

import (
	"cmp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/corazawaf/coraza/v3/collection"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"
	"github.com/corazawaf/coraza/v3/types/variables"
)

// Read fills the view, whose slices it reuses, from a transaction after CRS's rules have run. hour (0..23) is the
// hour of the day: the server's clock when serving, a fixed value when replaying.
//
// A transaction that does not offer its matched rules (see [types.Transaction]) yields a view without matches; the
// verdict then rests on the payload alone. Collections iterate in random order; a view does not depend on it.
func (v *View) Read(tx plugintypes.TransactionState, hour int) {
	vars := tx.Variables()
	*v = View{
		Method:   vars.RequestMethod().Get(),
		Hour:     hour,
		Paranoia: clampParanoia(txInt(vars, "blocking_paranoia_level", 1)),
		Limit:    txInt(vars, "inbound_anomaly_score_threshold", 5),
		Target:   len(vars.RequestURIRaw().Get()),
		Query:    len(vars.QueryString().Get()),
		Values:   v.Values[:0],
		Matches:  v.Matches[:0],
	}
	for i := range v.Earned {
		v.Earned[i] = txInt(vars, earnedNames[i], 0)
	}
	v.Size = atoi(vars.RequestBodyLength().Get(), 0)
	v.readValues(vars)
	if t, ok := tx.(types.Transaction); ok {
		v.readMatches(t.MatchedRules())
	}
}

var earnedNames = [ParanoiaLevels]string{
	"inbound_anomaly_score_pl1", "inbound_anomaly_score_pl2", "inbound_anomaly_score_pl3", "inbound_anomaly_score_pl4",
}

func txInt(vars plugintypes.TransactionVariables, key string, fallback int) int {
	if got := vars.TX().Get(key); len(got) > 0 {
		return atoi(got[0], fallback)
	}
	return fallback
}

func atoi(s string, fallback int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return fallback
}

func (v *View) readValues(vars plugintypes.TransactionVariables) {
	v.add(Path, "", vars.RequestFilename().Get())
	v.addAll(Query, vars.ArgsGet())
	v.addAll(Form, vars.ArgsPost())
	v.addAll(Cookie, vars.RequestCookies())
	v.addAll(Header, vars.RequestHeaders())
	v.addAll(File, vars.Files())
	v.addAll(XML, vars.RequestXML())
	if len(vars.ArgsPost().FindAll()) == 0 { // else the body is there already, field by field
		v.add(Body, "", vars.RequestBody().Get())
	}
	slices.SortFunc(v.Values, func(a, b Value) int {
		return cmp.Or(cmp.Compare(a.Place, b.Place), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Text, b.Text))
	})
	v.Values = slices.Compact(v.Values)
}

func (v *View) addAll(place Place, col collection.Collection) {
	for _, data := range col.FindAll() {
		name := data.Key()
		switch place {
		case Header:
			if name = strings.ToLower(name); name == "cookie" {
				continue // taken apart into cookies
			}
		case Query, Form, Cookie:
			if !identifier(name) {
				v.add(Name, "", name)
			}
		}
		v.add(place, name, data.Value())
	}
}

func (v *View) add(place Place, name, text string) {
	if text != "" {
		v.Values = append(v.Values, Value{Place: place, Name: name, Text: text})
	}
}

// identifier reports whether a name holds nothing but letters, digits and the marks of field paths: there is no text
// in it to judge.
func identifier(name string) bool {
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '_', c == '-', c == '.', c == '[', c == ']':
		default:
			return false
		}
	}
	return true
}

func (v *View) readMatches(matched []types.MatchedRule) {
	for _, mr := range matched {
		rule := mr.Rule()
		if id := rule.ID(); id < 910000 || id >= 949000 {
			continue
		}
		m := Match{Rule: rule.ID(), Paranoia: RuleParanoia(rule.Tags()), Score: severityScore(rule.Severity())}
		if m.Paranoia == 0 || m.Score == 0 {
			continue // it steers CRS and scores nothing
		}
		for _, data := range mr.MatchedDatas() {
			v.locate(&m, data.Variable(), data.Key())
		}
		slices.SortFunc(m.Spans, func(a, b Span) int { return cmp.Or(cmp.Compare(a.Lo, b.Lo), cmp.Compare(a.Hi, b.Hi)) })
		m.Spans = slices.Compact(m.Spans)
		v.Matches = append(v.Matches, m)
	}
	slices.SortStableFunc(v.Matches, func(a, b Match) int { return cmp.Compare(a.Rule, b.Rule) })
	v.joinRepeats()
}

// joinRepeats makes one match of a rule's several ones: a rule that runs in two phases matches twice.
func (v *View) joinRepeats() {
	out := v.Matches[:0]
	for _, m := range v.Matches {
		if n := len(out); n > 0 && out[n-1].Rule == m.Rule {
			spans := append(out[n-1].Spans, m.Spans...)
			slices.SortFunc(spans, func(a, b Span) int { return cmp.Or(cmp.Compare(a.Lo, b.Lo), cmp.Compare(a.Hi, b.Hi)) })
			out[n-1].Spans = slices.Compact(spans)
			continue
		}
		out = append(out, m)
	}
	v.Matches = out
}

// RuleParanoia reads the level off a rule's tags: paranoia-level/N, 1 to 4, which every rule of CRS with a score carries;
// 0 without one.
func RuleParanoia(tags []string) int {
	for _, tag := range tags {
		if level, ok := strings.CutPrefix(tag, "paranoia-level/"); ok {
			if n := atoi(level, 0); n >= 1 && n <= ParanoiaLevels {
				return n
			}
		}
	}
	return 0
}

// severityScore gives the default anomaly score of a severity (crs-setup: critical 5, error 4, warning 3, notice 2).
func severityScore(s types.RuleSeverity) int {
	switch s {
	case types.RuleSeverityCritical:
		return 5
	case types.RuleSeverityError:
		return 4
	case types.RuleSeverityWarning:
		return 3
	case types.RuleSeverityNotice:
		return 2
	}
	return 0
}

// locate adds the values that a rule's match in one variable names.
func (v *View) locate(m *Match, variable variables.RuleVariable, key string) {
	switch variable {
	case variables.Args:
		v.named(m, Query, key)
		v.named(m, Form, key)
	case variables.ArgsGet:
		v.named(m, Query, key)
	case variables.ArgsPost:
		v.named(m, Form, key)
	case variables.ArgsNames, variables.ArgsGetNames, variables.ArgsPostNames, variables.RequestCookiesNames:
		v.text(m, key)
	case variables.RequestCookies:
		v.named(m, Cookie, key)
	case variables.RequestHeaders:
		if strings.EqualFold(key, "cookie") {
			v.all(m, Cookie)
		} else {
			v.named(m, Header, strings.ToLower(key))
		}
	case variables.RequestFilename, variables.RequestBasename:
		v.all(m, Path)
	case variables.QueryString:
		v.all(m, Query)
	case variables.RequestURI, variables.RequestURIRaw, variables.RequestLine:
		v.all(m, Path)
		v.all(m, Query)
	case variables.RequestBody:
		v.all(m, Form)
		v.all(m, Body)
	case variables.Files, variables.FilesNames, variables.MultipartFilename, variables.MultipartName:
		v.all(m, File)
	case variables.XML, variables.RequestXML:
		v.all(m, XML)
	}
}

func (v *View) named(m *Match, place Place, name string) {
	v.span(m, func(x Value) int { return cmp.Or(cmp.Compare(x.Place, place), cmp.Compare(x.Name, name)) })
}

func (v *View) text(m *Match, text string) {
	v.span(m, func(x Value) int {
		return cmp.Or(cmp.Compare(x.Place, Name), cmp.Compare(x.Name, ""), cmp.Compare(x.Text, text))
	})
}

func (v *View) all(m *Match, place Place) {
	v.span(m, func(x Value) int { return cmp.Compare(x.Place, place) })
}

// span adds the range of values that compare equal under order, which must agree with the values' own order.
func (v *View) span(m *Match, order func(Value) int) {
	lo := sort.Search(len(v.Values), func(i int) bool { return order(v.Values[i]) >= 0 })
	n := sort.Search(len(v.Values)-lo, func(i int) bool { return order(v.Values[lo+i]) > 0 })
	if n > 0 {
		m.Spans = append(m.Spans, Span{int32(lo), int32(lo + n)})
	}
}
