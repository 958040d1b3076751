// SPDX-License-Identifier: Apache-2.0

package engines_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/dop251/goja"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/mutate"
)

var scripts = []string{
	"alert(1)", "alert('a')", `confirm("x");prompt(7)`, "var a=1;alert(a);", "if(1){alert(2)}else{confirm(3)}", "[1].map(confirm);alert(4)",
	"x=alert(5),prompt(6)", "eval('alert(8)')", "(function(){prompt(document.domain)})()", "'';alert(12)//tail", "1&&confirm(0)",
}

// Mutations of a script call the same functions with the same arguments.
func TestScriptKeepsTheCalls(t *testing.T) {
	calls := func(script string) (list []string, err error) {
		engine := goja.New()
		for _, name := range []string{"alert", "confirm", "prompt"} {
			err = engine.Set(name, func(call goja.FunctionCall) goja.Value {
				list = append(list, fmt.Sprint(name, call.Arguments))
				return goja.Undefined()
			})
			require.NoError(t, err)
		}
		_, err = engine.RunString(`var window=this, self=this, document={domain:"shop.example"};` + script)
		return list, err
	}
	var mutators []mutate.Mutator
	for _, m := range mutate.For("xss") {
		if strings.HasPrefix(m.Name, "js-") {
			mutators = append(mutators, m)
		}
	}
	checked := map[string]int{}
	for i, script := range scripts {
		want, err := calls(script)
		require.NoError(t, err, script)
		require.NotEmpty(t, want, script)
		for seed := range uint64(40) {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			payload, names := script, []string{}
			for range 10 {
				mutated, name, ok := mutate.Any(mutators, payload, rng)
				if !ok {
					break
				}
				payload, names = mutated, append(names, name)
				checked[name]++
				got, err := calls(payload)
				if !assert.NoError(t, err, "from %q\nto   %q\nby %v", script, payload, names) ||
					!assert.Equal(t, want, got, "from %q\nto   %q\nby %v", script, payload, names) {
					return
				}
			}
		}
	}
	for _, m := range mutators {
		assert.Greater(t, checked[m.Name], 50, m.Name)
	}
}
