// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mlverdict/mlverdict/internal/augment"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/request"
)

// Attack is the payload of an attack, decoded once, as an application gets it.
type Attack struct {
	Class   string `json:"class"`
	Payload string `json:"payload"`
}

// Attacks collects the payloads of rows, each once.
type Attacks struct {
	List    []Attack // in the order of the rows
	LeftOut int      // attacks whose payload does not stand alone in one argument
	seen    map[Attack]bool
}

// Add takes a row's payload: that of a payload row, or the only argument of a query or a form. Benign rows are passed
// over, and what holds its attack elsewhere is counted.
func (a *Attacks) Add(row *traffic.Request) {
	if row.Label != traffic.Attack {
		return
	}
	payload, ok := payloadOf(row)
	if !ok {
		a.LeftOut++
		return
	}
	if a.seen == nil {
		a.seen = map[Attack]bool{}
	}
	if attack := (Attack{row.Class, payload}); !a.seen[attack] {
		a.seen[attack] = true
		a.List = append(a.List, attack)
	}
}

func payloadOf(row *traffic.Request) (string, bool) {
	if row.IsPayload() {
		return row.Payload, true
	}
	_, query, _ := strings.Cut(row.URI, "?")
	arguments := query
	if len(row.Body) > 0 {
		form := slices.ContainsFunc(row.Headers, func(h [2]string) bool {
			return strings.EqualFold(h[0], "content-type") && strings.HasPrefix(strings.ToLower(h[1]), "application/x-www-form-urlencoded")
		})
		if !form || query != "" {
			return "", false
		}
		arguments = string(row.Body)
	}
	_, value, ok := strings.Cut(arguments, "=")
	if !ok || strings.Contains(arguments, "&") {
		return "", false
	}
	payload := percentDecoded(value)
	return payload, payload != ""
}

// percentDecoded decodes what can be decoded and leaves the rest, as servers do; net/url would refuse the whole.
func percentDecoded(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b = append(b, ' ')
			continue
		case s[i] == '%' && i+2 < len(s):
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(n))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// Draw draws up to n attacks of each class, the classes by name; where some are at most short bytes long, they make
// half of the n if there are so many. Without a limit of n (0) it draws all.
func Draw(list []Attack, n, short int, rng *rand.Rand) (drawn []Attack) {
	classes := map[string][]Attack{}
	for _, a := range list {
		classes[a.Class] = append(classes[a.Class], a)
	}
	for _, class := range slices.Sorted(maps.Keys(classes)) {
		of := classes[class]
		rng.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
		if n > 0 && len(of) > n {
			slices.SortStableFunc(of, func(a, b Attack) int { return cmp.Compare(brevity(a, short), brevity(b, short)) })
			brief := min(n/2, count(of, short))
			of = append(slices.Clone(of[:brief]), of[len(of)-(n-brief):]...)
			rng.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
		}
		drawn = append(drawn, of...)
	}
	return drawn
}

// DrawEvenly draws up to n attacks, as many of each class as there are, as long as others have no more. Without a limit
// (0) it draws all. They are sorted by class.
func DrawEvenly(list []Attack, n int, rng *rand.Rand) []Attack {
	type ranked struct {
		Attack
		rank int // within the class
	}
	taken := map[string]int{}
	var drawn []ranked
	for _, i := range rng.Perm(len(list)) {
		drawn = append(drawn, ranked{list[i], taken[list[i].Class]})
		taken[list[i].Class]++
	}
	slices.SortStableFunc(drawn, func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) })
	if n > 0 {
		drawn = drawn[:min(n, len(drawn))]
	}
	slices.SortStableFunc(drawn, func(a, b ranked) int { return cmp.Compare(a.Class, b.Class) })
	attacks := make([]Attack, len(drawn))
	for i := range drawn {
		attacks[i] = drawn[i].Attack
	}
	return attacks
}

// brevity sorts short payloads first.
func brevity(a Attack, short int) int {
	if len(a.Payload) <= short {
		return 0
	}
	return 1
}

func count(list []Attack, short int) (n int) {
	for _, a := range list {
		n += 1 - brevity(a, short)
	}
	return n
}

// inQuery is a small GET request with the payload as its only argument.
func inQuery(payload string) *traffic.Request { return augment.InQuery(payload) }

// inForm is the same as a form.
func inForm(payload string) *traffic.Request {
	r := *augment.InQuery("")
	body := "q=" + url.QueryEscape(payload)
	r.Method, r.URI, r.Body = "POST", "/", []byte(body)
	r.Headers = append(slices.Clone(r.Headers), [2]string{"Content-Type", "application/x-www-form-urlencoded"},
		[2]string{"Content-Length", strconv.Itoa(len(body))})
	return &r
}

// indexes yields 0 to n-1.
func indexes(n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// entry returns the list's item that began as key, and appends it if there is none.
func entry[T comparable](list *[]T, at map[T]int, key T) *T {
	i, ok := at[key]
	if !ok {
		i = len(*list)
		at[key] = i
		*list = append(*list, key)
	}
	return &(*list)[i]
}

// opinion is what CRS and the model say of a view at one paranoia level.
type opinion struct {
	crs     bool // CRS denies
	score   int
	anomaly float64
}

// denied reports whether both deny.
func (o opinion) denied() bool { return o.crs && o.score <= flags }

// ask asks about a view at a paranoia level at or below the one that it was read at.
func ask(m *model.Model, v *request.View, level int) (opinion, error) {
	at := v.AtParanoia(level)
	var verdict model.Verdict
	if err := m.Judge(&at, &verdict); err != nil {
		return opinion{}, fmt.Errorf("robustness: %w", err)
	}
	return opinion{at.Denied(), verdict.Score, verdict.Anomaly}, nil
}
