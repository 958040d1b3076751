// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/model/request"
)

func TestParamOf(t *testing.T) {
	of := func(name string) Param { return ParamOf(request.Form, name) }
	assert.Equal(t, of("json.0.name"), of("json.117.name"), "elements of a list are one parameter")
	assert.NotEqual(t, of("json.0.name"), of("json.name"))
	assert.NotEqual(t, of("a"), of("b"))
	assert.NotEqual(t, of("a"), ParamOf(request.Cookie, "a"))
	assert.NotEqual(t, of("a1b"), of("ab1"))
}

var (
	state  = ParamOf(request.Cookie, "state")
	other  = ParamOf(request.Query, "id")
	probed = ParamOf(request.Query, "cmd")
)

const (
	usualRule   = 942100
	rareRule    = 942200
	unknownRule = 942300
)

// shop counts 1,000 requests: all carry the cookie state, of which usualRule matches most and rareRule 1 %, and whose
// text reaches 10 nats; 19 requests carry id, which usualRule matches.
func shop() *ParamCounts {
	c := NewParamCounts()
	for i := range 1000 {
		s := Shown{Evidence: 10}
		if i >= 100 {
			s.Rules = append(s.Rules, usualRule)
		}
		if i%100 == 0 {
			s.Rules = append(s.Rules, rareRule)
		}
		c.Add(state, s)
		if i < Carriers-1 {
			c.Add(other, Shown{Rules: []int{usualRule}})
		}
	}
	return c
}

func TestBaseline(t *testing.T) {
	b := CompileBaseline(shop(), NewParamCounts(), 1000)
	assert.Equal(t, 1, b.Params())
	surprise, novelty := b.Match(state, usualRule, 8, 3)
	assert.Less(t, surprise, 0.5, "the rule trips over this cookie day by day")
	assert.Less(t, novelty, 0.5)
	low, new := b.Match(state, usualRule, 0.01, 0.02)
	assert.Equal(t, []float64{0.01, 0.02}, []float64{low, new}, "what is worth less elsewhere stays so")
	for name, use := range map[string]use{"rare": {state, rareRule}, "never": {state, unknownRule}, "elsewhere": {other, usualRule}} {
		surprise, novelty = b.Match(use.param, use.sign, 8, 3)
		assert.Equal(t, []float64{8, 3}, []float64{surprise, novelty}, name)
	}
	assert.Less(t, b.Text(state, 10), 0.5, "as usual")
	assert.Equal(t, 14.0, b.Text(state, 14), "more than usual: an attack in the same cookie")
	assert.Equal(t, 10.0, b.Text(other, 10))
	assert.Equal(t, 1.0, b.Text(state, 1))
	var none *Baseline
	assert.Equal(t, 10.0, none.Text(state, 10))
	surprise, novelty = none.Match(state, usualRule, 8, 3)
	assert.Equal(t, []float64{8, 3}, []float64{surprise, novelty})
	assert.Zero(t, none.Params())
}

// Requests that look like attacks open a parameter only beyond the share of the traffic that may be attacks, even one
// that nothing else carries.
func TestAttacksOpenNoParameter(t *testing.T) {
	scan := func(attacks int) *Baseline {
		doubted := NewParamCounts()
		for range attacks {
			doubted.Add(probed, Shown{Evidence: 20, Rules: []int{usualRule}})
		}
		return CompileBaseline(shop(), doubted, 1000+attacks)
	}
	for _, attacks := range []int{1, 10, 20} {
		b := scan(attacks)
		surprise, _ := b.Match(probed, usualRule, 8, 3)
		assert.Greater(t, surprise, 4.0, "%d attacks", attacks)
		assert.Equal(t, 20.0, b.Text(probed, 20), "%d attacks", attacks)
	}
	surprise, _ := scan(500).Match(probed, usualRule, 8, 3)
	assert.Less(t, surprise, 1.0, "what a third of the traffic does is the site's habit")
}

func TestParamCountsMerge(t *testing.T) {
	all, parts := shop(), shop()
	all.Merge(parts)
	doubled := NewParamCounts()
	doubled.Merge(shop())
	doubled.Merge(shop())
	assert.Equal(t, doubled, all)
}

func TestBaselineRoundTrip(t *testing.T) {
	b := CompileBaseline(shop(), NewParamCounts(), 1000)
	again, err := DecodeBaseline(b.AppendBinary(nil))
	require.NoError(t, err)
	assert.Equal(t, b, again)
}

// A baseline is bounded: what is most usual stays.
func TestBaselineIsBounded(t *testing.T) {
	c := shop()
	for p := range Param(MaxUses) {
		c.carried[p], c.shown[use{p, usualRule}] = Carriers, Carriers/2
	}
	b := CompileBaseline(c, NewParamCounts(), 1000)
	assert.Len(t, b.usual, MaxUses)
	surprise, _ := b.Match(state, usualRule, 8, 3)
	assert.Less(t, surprise, 0.5)
	_, err := DecodeBaseline(b.AppendBinary(nil))
	assert.NoError(t, err)
}

func FuzzDecodeBaseline(f *testing.F) {
	f.Add(CompileBaseline(shop(), NewParamCounts(), 1000).AppendBinary(nil))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0xc5, 0x4e, 0xec, 0xc4, 0}) // on 32 bits fewer than no entries, of 13 bytes: in all one
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := DecodeBaseline(b)
		if err != nil {
			assert.ErrorIs(t, err, ErrFormat)
			return
		}
		assert.Equal(t, b, x.AppendBinary(nil))
		assert.GreaterOrEqual(t, x.Text(state, 10), 0.0)
	})
}
