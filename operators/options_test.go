// SPDX-License-Identifier: Apache-2.0

package operators_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/waf/waftest"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/operators"
)

func TestArguments(t *testing.T) {
	tests := []struct {
		arguments string
		want      string // in the error; "" = valid
	}{
		{"50", ""},
		{"  1  ", ""},
		{"%{tx.limit}", ""},
		{"", "the threshold is missing"},
		{"model=/a", "the threshold is missing"},
		{"0", `threshold is "0": want a number from 1 to 99`},
		{"100", `threshold is "100": want a number from 1 to 99`},
		{"half", `threshold is "half": want a number from 1 to 99`},
		{"%{nothing.limit}", `threshold "%{nothing.limit}": unknown variable`},
		{"%{tx.limit", `threshold "%{tx.limit": malformed variable`},
		{"50 60", `argument "60" is not known`},
		{"50 model=", `argument "model=" is not known`},
		{"50 models=/a", `argument "models=/a" is not known`},
	}
	for _, tt := range tests {
		t.Run(tt.arguments, func(t *testing.T) {
			_, err := operators.New(plugintypes.OperatorOptions{Arguments: tt.arguments})
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "@detectAnomaly")
			require.ErrorContains(t, err, tt.want)
		})
	}
}

// FuzzArguments: no argument panics; what is taken has a threshold that can be one, and an error says whose it is.
func FuzzArguments(f *testing.F) {
	for _, seed := range []string{"50", " %{tx.limit} model=/a b", "99 model=", "model=/a", "%{tx.", "1\t2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, arguments string) {
		if _, err := operators.New(plugintypes.OperatorOptions{Arguments: arguments}); err != nil {
			assert.ErrorContains(t, err, "@detectAnomaly")
			return
		}
		limit, rest, _ := strings.Cut(strings.TrimSpace(arguments), " ")
		assert.Empty(t, strings.TrimSpace(rest), "a model needs a file system")
		if n, err := strconv.Atoi(limit); err == nil {
			assert.True(t, n >= model.MinScore && n <= model.MaxScore, limit)
		} else {
			assert.Contains(t, limit, "%{")
		}
	})
}

// Where the model comes from: the argument, else the data set, else the embedded one.
func TestModelSource(t *testing.T) {
	named, listed := waftest.Model(t, 20), waftest.Model(t, 30)
	blanks := filepath.Join(t.TempDir(), "my own.model")
	require.NoError(t, os.Rename(waftest.Model(t, 40), blanks))
	dataset := "SecDataset ml-verdict-model `\n# the model of this site\n" + listed + "\n`\n"
	tests := []struct {
		name       string
		directives string
		want       string // score
	}{
		{"argument", `SecRule REQUEST_URI "@detectAnomaly 99 model=` + named + `" "id:1,phase:1,pass"`, "20"},
		{"argument with blanks", `SecRule REQUEST_URI "@detectAnomaly 99 model=` + blanks + `" "id:1,phase:1,pass"`, "40"},
		{"data set", dataset + `SecRule REQUEST_URI "@detectAnomaly 99" "id:1,phase:1,pass"`, "30"},
		{"both", dataset + `SecRule REQUEST_URI "@detectAnomaly 99 model=` + named + `" "id:1,phase:1,pass"`, "20"},
		{"data set after the rule", `SecRule REQUEST_URI "@detectAnomaly 99" "id:1,phase:1,pass"` + "\n" + dataset, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := waftest.Ask(t, bare(t, tt.directives), waftest.Hello())
			if tt.want == "" {
				assert.Equal(t, model.Default().ID(), a.TX["ml_model"])
				return
			}
			assert.Equal(t, tt.want, a.TX["ml_score"])
		})
	}
}

// A model is found in the WAF's file system, beside the rule file and in the working directory.
func TestModelPath(t *testing.T) {
	content, err := os.ReadFile(waftest.Model(t, 20))
	require.NoError(t, err)
	const rule = `SecRule REQUEST_URI "@detectAnomaly 99 model=%s" "id:1,phase:1,pass"`
	config := coraza.NewWAFConfig().WithRootFS(fstest.MapFS{
		"models/site.model":  {Data: content},
		"conf/site.model":    {Data: content},
		"conf/rules.conf":    {Data: fmt.Appendf(nil, rule, "site.model")},
		"conf/top.conf":      {Data: fmt.Appendf(nil, rule, "models/site.model")},
		"conf/nowhere.conf":  {Data: fmt.Appendf(nil, rule, "other.model")},
		"conf/damaged.conf":  {Data: fmt.Appendf(nil, rule, "damaged.model")},
		"conf/damaged.model": {Data: append([]byte("X"), content[1:]...)},
	})
	for _, file := range []string{"conf/rules.conf", "conf/top.conf"} {
		w, err := coraza.NewWAF(config.WithDirectives("SecRuleEngine On").WithDirectivesFromFile(file))
		require.NoError(t, err)
		assert.Equal(t, "20", waftest.Ask(t, w, waftest.Hello()).TX["ml_score"], file)
	}
	for _, file := range []string{"conf/nowhere.conf", "conf/damaged.conf"} {
		_, err := coraza.NewWAF(config.WithDirectivesFromFile(file))
		assert.ErrorContains(t, err, "@detectAnomaly: model=", file)
	}

	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("near.model", content, 0o600))
	w := bare(t, fmt.Sprintf(rule, "near.model"))
	assert.Equal(t, "20", waftest.Ask(t, w, waftest.Hello()).TX["ml_score"])
}

// A model that cannot be read keeps the WAF from starting, and the error names the setting.
func TestUnreadableModel(t *testing.T) {
	garbage := filepath.Join(t.TempDir(), "garbage.model")
	require.NoError(t, os.WriteFile(garbage, []byte("not a model"), 0o600))
	huge := filepath.Join(t.TempDir(), "huge.model")
	require.NoError(t, os.WriteFile(huge, nil, 0o600))
	require.NoError(t, os.Truncate(huge, 1<<30)) // sparse: it takes no room on disk
	const rule = `SecRule REQUEST_URI "@detectAnomaly 50" "id:1,phase:1,pass"`
	tests := []struct {
		name       string
		directives string
		want       []string
	}{
		{"missing", `SecRule REQUEST_URI "@detectAnomaly 50 model=/nowhere/x.model" "id:1,phase:1,pass"`,
			[]string{"model=/nowhere/x.model", "no such file"}},
		{"garbage", `SecRule REQUEST_URI "@detectAnomaly 50 model=` + garbage + `" "id:1,phase:1,pass"`,
			[]string{"model=" + garbage, "mlverdict train"}},
		{"folder", `SecRule REQUEST_URI "@detectAnomaly 50 model=/" "id:1,phase:1,pass"`, []string{"model=/", "directory"}},
		{"huge", `SecRule REQUEST_URI "@detectAnomaly 50 model=` + huge + `" "id:1,phase:1,pass"`,
			[]string{"model=" + huge, "no model is that large"}},
		{"data set, missing", "SecDataset ml-verdict-model `\n/nowhere/x.model\n`\n" + rule,
			[]string{"SecDataset ml-verdict-model /nowhere/x.model", "no such file"}},
		{"data set, empty", "SecDataset ml-verdict-model `\n#\n`\n" + rule, []string{"SecDataset ml-verdict-model holds 0 lines"}},
		{"data set, two lines", "SecDataset ml-verdict-model `\n/a\n/b\n`\n" + rule,
			[]string{"SecDataset ml-verdict-model holds 2 lines"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := coraza.NewWAF(coraza.NewWAFConfig().WithDirectives(tt.directives))
			runtime.ReadMemStats(&after)
			for _, want := range tt.want {
				require.ErrorContains(t, err, want)
			}
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20))
		})
	}
}

// memo remembers like Coraza's memoizer, whose key is the only thing that tells values apart.
type memo map[string]any

func (m memo) Do(key string, make func() (any, error)) (any, error) {
	if v, ok := m[key]; ok {
		return v, nil
	}
	v, err := make()
	if err == nil {
		m[key] = v
	}
	return v, err
}

// WAFs share a model by its content, whatever the file is called; a file that changed is read again.
func TestModelsAreShared(t *testing.T) {
	first, other := waftest.Model(t, 20), waftest.Model(t, 30)
	content, err := os.ReadFile(first)
	require.NoError(t, err)
	root := fstest.MapFS{"a.model": {Data: content}, "b.model": {Data: content}}
	m := memo{}
	load := func(name string) {
		_, err := operators.New(plugintypes.OperatorOptions{Arguments: "50 model=" + name, Root: root, Memoizer: m})
		require.NoError(t, err)
	}
	load("a.model")
	load("b.model")
	assert.Len(t, m, 1)

	content, err = os.ReadFile(other)
	require.NoError(t, err)
	root["a.model"] = &fstest.MapFile{Data: content}
	load("a.model")
	assert.Len(t, m, 2)
}
