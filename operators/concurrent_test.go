// SPDX-License-Identifier: Apache-2.0

package operators_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mlverdict/mlverdict/internal/waf/waftest"
)

// One operator serves all requests of a WAF: under load each still gets its own verdict.
func TestConcurrentRequests(t *testing.T) {
	w := waftest.New(t)
	kinds := []struct {
		request func() *http.Request
		want    waftest.Answer
	}{{request: waftest.Hello}, {request: waftest.Injection}, {request: waftest.Beacon}}
	for i := range kinds {
		kinds[i].want = waftest.Ask(t, w, kinds[i].request())
	}

	const requests = 201
	answers := make([]waftest.Answer, requests)
	errs := make([]error, requests)
	var wait sync.WaitGroup
	for i := range requests {
		wait.Go(func() { answers[i], errs[i] = waftest.Send(w, kinds[i%len(kinds)].request()) })
	}
	wait.Wait()
	for i, got := range answers {
		want := kinds[i%len(kinds)].want
		assert.NoError(t, errs[i])
		assert.Equal(t, want.Status, got.Status)
		assert.Equal(t, want.Says(), got.Says())
		for _, name := range []string{"ml_score", "ml_class", "ml_reason", "ml_case"} {
			assert.Equal(t, want.TX[name], got.TX[name], name)
		}
	}
}
