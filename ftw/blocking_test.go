// SPDX-License-Identifier: Apache-2.0

package ftw

import (
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental"
	"github.com/corazawaf/coraza/v3/types"
	schema "github.com/coreruleset/ftw-tests-schema/v2/types"
	"github.com/coreruleset/go-ftw/v2/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/verdict"
	"github.com/mlverdict/mlverdict/internal/waf"
)

const (
	baselineFile = "baseline.json"
	resultsFile  = "../docs/results-ftw.md"
)

var update = flag.Bool("update", false, "write "+baselineFile+" and "+resultsFile)

// figures are what the baseline guards: CRS's positive tests that plain CRS denies, and that are still denied.
type figures struct {
	Attacks int `json:"attacks"`
	Denied  int `json:"denied"`
}

// Of CRS's own attacks as many are denied with the second verdict as the baseline says, or more, in every family.
func TestBlocking(t *testing.T) {
	got := block(t)
	if *update {
		require.NoError(t, os.WriteFile(baselineFile, got.baseline(t), 0o644))
		require.NoError(t, os.WriteFile(resultsFile, got.results(t), 0o644))
	}

	content, err := os.ReadFile(baselineFile)
	require.NoError(t, err)
	var baseline map[string]figures
	require.NoError(t, json.Unmarshal(content, &baseline))
	assert.Len(t, got.families, len(baseline))
	for _, family := range got.families {
		want := baseline[family.name]
		assert.Equal(t, want.Attacks, family.Attacks, "attacks of %s that plain CRS denies", family.name)
		assert.GreaterOrEqual(t, family.Denied, want.Denied, "attacks of %s that are still denied", family.name)
	}
	results, err := os.ReadFile(resultsFile)
	require.NoError(t, err)
	assert.Equal(t, string(got.results(t)), string(results), "the figures have changed: run make ftw-baseline")
}

// blocked is the outcome of a blocking run.
type blocked struct {
	families []*familyBlocked
}

type familyBlocked struct {
	name string
	figures
	vetoed []vetoed
}

// vetoed is an attack that CRS denies and the second verdict lets pass.
type vetoed struct {
	test     string
	paranoia int
	verdict  verdict.Verdict
}

// block sends every positive test of CRS to plain CRS and to CRS with the second verdict, both at the paranoia level
// of the rule that the test is for.
func block(t *testing.T) (b blocked) {
	t.Helper()
	crs, err := CRS()
	require.NoError(t, err)
	levels := paranoiaLevels(t)
	var plain, judged [5]*witness
	for level := 1; level <= 4; level++ {
		plain[level] = newWitness(t, waf.Config{Paranoia: level})
		judged[level] = newWitness(t, waf.Config{Paranoia: level, Plugin: true})
	}
	for _, family := range crs {
		f := &familyBlocked{name: family.Name}
		for _, file := range family.Files {
			for _, one := range file.Tests {
				level := max(levels[int(one.RuleId)], 1)
				if !positive(&one) || !denied(plain[level].ask(t, file, one)) {
					continue
				}
				f.Attacks++
				verdicts := judged[level].ask(t, file, one)
				if denied(verdicts) {
					f.Denied++
					continue
				}
				veto := slices.IndexFunc(verdicts, func(v verdict.Verdict) bool { return v.Decision == verdict.Veto })
				require.GreaterOrEqual(t, veto, 0, "%s is neither denied nor vetoed", one.IdString())
				f.vetoed = append(f.vetoed, vetoed{one.IdString(), level, verdicts[veto]})
			}
		}
		if f.Attacks > 0 {
			b.families = append(b.families, f)
		}
	}
	return b
}

// positive reports whether a test wants some rule to match.
func positive(one *schema.Test) bool {
	for _, stage := range one.Stages {
		if len(stage.Output.Log.ExpectIds) > 0 || stage.Output.Log.MatchRegex != "" {
			return true
		}
	}
	return false
}

// denied reports whether CRS, alone or with the model, denied a stage of a test.
func denied(stages []verdict.Verdict) bool {
	return slices.ContainsFunc(stages, func(v verdict.Verdict) bool { return v.Denied && v.Decision != verdict.Engine })
}

// paranoiaLevels tells for each rule of CRS the lowest paranoia level at which it is active.
func paranoiaLevels(t *testing.T) map[int]int {
	t.Helper()
	var (
		levels    = map[int]int{}
		directive = regexp.MustCompile(`(?m)^SecRule\b(?:.*\\\n)*.*`)
		idOf      = regexp.MustCompile(`\bid:(\d+)`)
		levelOf   = regexp.MustCompile(`paranoia-level/(\d)`)
	)
	files, err := fs.Glob(coreruleset.FS, "@owasp_crs/*.conf")
	require.NoError(t, err)
	for _, file := range files {
		text, err := fs.ReadFile(coreruleset.FS, file)
		require.NoError(t, err)
		for _, rule := range directive.FindAllString(string(text), -1) {
			id, level := idOf.FindStringSubmatch(rule), levelOf.FindStringSubmatch(rule)
			if id == nil || level == nil {
				continue
			}
			n, err := strconv.Atoi(id[1])
			require.NoError(t, err)
			levels[n], err = strconv.Atoi(level[1])
			require.NoError(t, err)
		}
	}
	require.NotEmpty(t, levels)
	return levels
}

// witness is a WAF that remembers its verdicts.
type witness struct {
	coraza.WAF
	server Server

	mu       sync.Mutex
	verdicts []verdict.Verdict
}

var _ experimental.WAFWithOptions = (*witness)(nil)

func newWitness(t *testing.T, c waf.Config) *witness {
	t.Helper()
	inner, err := waf.New(c)
	require.NoError(t, err)
	w := &witness{WAF: inner}
	w.server = Listen(t, w, "")
	return w
}

// ask sends the stages of one test and returns the verdicts on them. Stages that the server does not take for a
// request have none.
func (w *witness) ask(t *testing.T, file *test.FTWTest, one schema.Test) []verdict.Verdict {
	t.Helper()
	alone := *file
	alone.Tests = []schema.Test{one}
	Run(t, w.server, []Family{{Files: []*test.FTWTest{&alone}}})
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.verdicts = nil }()
	return w.verdicts
}

// NewTransactionWithOptions is what Coraza's middleware calls.
func (w *witness) NewTransactionWithOptions(o experimental.Options) types.Transaction {
	return witnessed{w.WAF.(experimental.WAFWithOptions).NewTransactionWithOptions(o), w}
}

type witnessed struct {
	types.Transaction
	w *witness
}

// ProcessLogging is the last call before the middleware closes the transaction and the client has its answer.
func (tx witnessed) ProcessLogging() {
	tx.Transaction.ProcessLogging()
	tx.w.mu.Lock()
	defer tx.w.mu.Unlock()
	tx.w.verdicts = append(tx.w.verdicts, verdict.Of(tx.Transaction))
}
