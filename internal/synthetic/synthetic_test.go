// SPDX-License-Identifier: Apache-2.0

package synthetic_test

import (
	"iter"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/synthetic"
	"github.com/mlverdict/mlverdict/internal/traffic"
)

func TestDeterministic(t *testing.T) {
	for name, generate := range map[string]func(int, uint64) iter.Seq[*traffic.Request]{
		"benign": synthetic.Benign, "payloads": synthetic.Payloads, "attacks": synthetic.Attacks,
	} {
		t.Run(name, func(t *testing.T) {
			const n = 200
			rows := slices.Collect(generate(n, 7))
			require.Len(t, rows, n)
			assert.Equal(t, rows, slices.Collect(generate(n, 7)), "the same seed")
			assert.Equal(t, rows[:50], slices.Collect(generate(50, 7)), "more rows do not change those before")
			assert.NotEqual(t, rows, slices.Collect(generate(n, 8)), "another seed")
			for _, row := range rows {
				require.NoError(t, row.Validate())
				want := traffic.Attack
				if name == "benign" {
					want = traffic.Benign
				}
				assert.Equal(t, want, row.Label)
				assert.Equal(t, name == "payloads", row.IsPayload())
			}
			for range generate(n, 7) {
				break // a generator stops when it is asked to
			}
		})
	}
}

// The data is of use only if CRS errs on some normal requests and finds most attacks.
func TestCRSErrsOnIt(t *testing.T) {
	replayer, err := replay.New()
	require.NoError(t, err)
	denied := func(rows iter.Seq[*traffic.Request], pl int) (n int) {
		for row := range rows {
			rec, err := replayer.Replay(row)
			require.NoError(t, err)
			assert.False(t, rec.Refused)
			if v := rec.View.AtParanoia(pl); v.Denied() {
				n++
			}
		}
		return n
	}
	const n = 60
	benign := denied(synthetic.Benign(n, 1), 2)
	assert.Positive(t, benign)
	assert.Less(t, benign, n)
	assert.Greater(t, denied(synthetic.Attacks(n, 1), 1), n/2)
}
