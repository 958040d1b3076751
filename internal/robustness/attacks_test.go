// SPDX-License-Identifier: Apache-2.0

package robustness_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/robustness"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/model"
)

// fixed is a model that gives every request the same score, and its file.
func fixed(t *testing.T, score int) (*model.Model, string) {
	t.Helper()
	path := waftest.Model(t, score)
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	m, err := model.Read(file)
	require.NoError(t, err)
	return m, path
}

func asJSON(t *testing.T, report any) string {
	t.Helper()
	text, err := json.Marshal(report)
	require.NoError(t, err)
	return string(text)
}

var someAttacks = []robustness.Attack{
	{Class: "sqli", Payload: "1' or 1=1 -- "}, {Class: "sqli", Payload: "1' union select password from users -- "},
	{Class: "xss", Payload: "<script>alert(1)</script>"}, {Class: "rce", Payload: ";cat /etc/passwd"}, {Class: "lfi", Payload: "../../../etc/passwd"},
	{Class: "sqli", Payload: "harmless"},
}

func TestAttacksOfRows(t *testing.T) {
	attack := func(r traffic.Request) *traffic.Request {
		r.Label, r.Class = traffic.Attack, "sqli"
		return &r
	}
	form := [][2]string{{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}}
	var a robustness.Attacks
	for _, row := range []*traffic.Request{
		attack(traffic.Request{Payload: "1 or 1=1"}),
		attack(traffic.Request{Method: "GET", URI: "/?id=1+or%201%3D2"}),
		attack(traffic.Request{Method: "POST", URI: "/x", Headers: form, Body: []byte("p=%27a%%27%zz")}),
		attack(traffic.Request{Method: "GET", URI: "/?q=1%20or%201=1"}), // the first again
		{Label: traffic.Benign, Method: "GET", URI: "/?q=hello"},
		attack(traffic.Request{Method: "GET", URI: "/?a=1&b=2"}),
		attack(traffic.Request{Method: "GET", URI: "/etc/passwd"}),
		attack(traffic.Request{Method: "POST", URI: "/", Body: []byte("p=1")}),
		attack(traffic.Request{Method: "POST", URI: "/?a=1", Headers: form, Body: []byte("p=1")}),
	} {
		a.Add(row)
	}
	assert.Equal(t, []robustness.Attack{{"sqli", "1 or 1=1"}, {"sqli", "1 or 1=2"}, {"sqli", "'a%'%zz"}}, a.List)
	assert.Equal(t, 4, a.LeftOut)
}

func TestDraw(t *testing.T) {
	var list []robustness.Attack
	for i := range 40 {
		list = append(list, robustness.Attack{Class: "xss", Payload: "a longer payload " + string(rune('A'+i))})
	}
	for i := range 10 {
		list = append(list, robustness.Attack{Class: "xss", Payload: string(rune('a' + i))}, robustness.Attack{Class: "lfi", Payload: string(rune('a' + i))})
	}
	draw := func(n int, seed uint64) []robustness.Attack {
		return robustness.Draw(slices.Clone(list), n, robustness.Short, rand.New(rand.NewPCG(seed, 0)))
	}
	count := func(drawn []robustness.Attack) (n map[string]int) {
		n = map[string]int{}
		for _, a := range drawn {
			n[a.Class]++
			if len(a.Payload) <= robustness.Short {
				n[a.Class+" short"]++
			}
		}
		return n
	}
	assert.Equal(t, map[string]int{"xss": 8, "xss short": 4, "lfi": 8, "lfi short": 8}, count(draw(8, 1)))
	assert.Equal(t, map[string]int{"xss": 30, "xss short": 10, "lfi": 10, "lfi short": 10}, count(draw(30, 1)))
	assert.Len(t, draw(0, 1), len(list))
	assert.Equal(t, draw(8, 1), draw(8, 1))
	assert.NotEqual(t, draw(8, 1), draw(8, 2))
	evenly := func(n int) []robustness.Attack { return robustness.DrawEvenly(list, n, rand.New(rand.NewPCG(1, 0))) }
	assert.Equal(t, 4, count(evenly(8))["lfi"])
	assert.Equal(t, 4, count(evenly(8))["xss"])
	assert.Equal(t, 10, count(evenly(30))["lfi"], "there are no more")
	assert.True(t, slices.IsSortedFunc(evenly(7), func(a, b robustness.Attack) int { return strings.Compare(a.Class, b.Class) }))
	assert.Len(t, evenly(0), len(list))
	assert.Equal(t, evenly(8), evenly(8))
}
