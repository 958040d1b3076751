// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/synthetic"
	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/model/request"
)

// TestOneReplayServesEveryLevel replays the same requests at each paranoia level: what the view of level 4 says of a
// lower level is what CRS says there.
func TestOneReplayServesEveryLevel(t *testing.T) {
	highest, err := New()
	require.NoError(t, err)
	rows := slices.Concat(slices.Collect(synthetic.Benign(40, 3)), slices.Collect(synthetic.Attacks(40, 3)))
	seen := map[int]int{} // matches by level
	for level := 1; level <= request.ParanoiaLevels; level++ {
		w, err := waf.New(waf.Config{Paranoia: level})
		require.NoError(t, err)
		at := &Replayer{w}
		for _, row := range rows {
			want, err := at.Replay(row)
			require.NoError(t, err)
			top, err := highest.Replay(row)
			require.NoError(t, err)
			require.Equal(t, want.Refused, top.Refused)
			got := top.View.AtParanoia(level)
			assert.Equal(t, want.View.Score(), got.Score(), row.URI)
			assert.Equal(t, want.View.Denied(), got.Denied(), row.URI)
			assert.Equal(t, counting(&want.View), counting(&got), row.URI)
			assert.Equal(t, want.View.Values, got.Values, row.URI)
			seen[level] += len(counting(&got))
		}
	}
	for level := 2; level <= request.ParanoiaLevels; level++ {
		assert.Greater(t, seen[level], seen[level-1], "level %d adds matches", level)
	}
}

// counting lists the matches that take part in a view's score.
func counting(v *request.View) (list []request.Match) {
	for _, m := range v.Matches {
		if v.Counts(&m) {
			list = append(list, m)
		}
	}
	return list
}
