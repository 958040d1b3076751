// SPDX-License-Identifier: Apache-2.0

package waftest

import (
	"fmt"
	"sync"
	"testing"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental/plugins"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/model/request"
	"github.com/mlverdict/mlverdict/plugin"
	"github.com/mlverdict/mlverdict/plugin/crs"
)

// Hour is the hour of the views that an Observer reads.
const Hour = 12

// Observer keeps the view of the last request that its WAF has seen, read at the place where @detectAnomaly reads
// it: in phase 2, between CRS and the plugin's rules.
type Observer struct {
	coraza.WAF
	number int
}

// Observe builds a WAF with CRS at a paranoia level, the plugin and an operator of ours that keeps the view.
func Observe(t testing.TB, paranoia int) *Observer {
	t.Helper()
	observed.Lock()
	number := len(observed.views)
	observed.views = append(observed.views, nil)
	observed.Unlock()
	w, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(crs.FS()).
		WithDirectives(fmt.Sprintf(`
			Include @coraza.conf-recommended
			SecRuleEngine On
			SecResponseBodyAccess Off
			Include @crs-setup.conf.example
			SecAction "id:1,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level=%d"
			%s
			Include @owasp_crs/*.conf
			SecRule REQUEST_METHOD "@keepView %d" "id:2,phase:2,pass,nolog"
			%s`, paranoia, plugin.BeforeCRS(), number, plugin.AfterCRS())))
	require.NoError(t, err)
	return &Observer{w, number}
}

// View returns the last request's view. It fails the test if phase 2 has not been reached since the last call.
func (o *Observer) View(t testing.TB) request.View {
	t.Helper()
	observed.Lock()
	defer observed.Unlock()
	v := observed.views[o.number]
	observed.views[o.number] = nil
	require.NotNil(t, v, "no request has come as far as phase 2")
	return *v
}

var observed struct {
	sync.Mutex
	views []*request.View // by number of the Observer
}

// keepView is an operator that reads the view and never matches.
type keepView struct{ number int }

func init() {
	plugins.RegisterOperator("keepView", func(o plugintypes.OperatorOptions) (plugintypes.Operator, error) {
		var k keepView
		_, err := fmt.Sscan(o.Arguments, &k.number)
		return k, err
	})
}

func (k keepView) Evaluate(tx plugintypes.TransactionState, _ string) bool {
	v := new(request.View)
	v.Read(tx, Hour)
	observed.Lock()
	observed.views[k.number] = v
	observed.Unlock()
	return false
}
