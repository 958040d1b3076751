// SPDX-License-Identifier: Apache-2.0

package training

import (
	"hash/fnv"
	"strings"

	"github.com/mlverdict/mlverdict/internal/traffic"
)

// HardSet is the set of normal requests that look like attacks; one part of it trains, the other tests.
const HardSet = "benign-hard"

// TrainsOn tells whether a row may train a model. Of [HardSet] about half may, by a hash of the file that the row was
// taken from (src up to its '#'), so that no template is on both sides; of any other set every row.
func TrainsOn(r *traffic.Request) bool {
	if r.Set != HardSet {
		return true
	}
	source, _, _ := strings.Cut(r.Src, "#")
	h := fnv.New32a()
	h.Write([]byte(r.Set))
	h.Write([]byte(source))
	return h.Sum32()&1 == 0
}
