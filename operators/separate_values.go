// SPDX-License-Identifier: Apache-2.0

package operators

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/corazawaf/coraza/v3/collection"
	"github.com/corazawaf/coraza/v3/experimental/plugins"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
)

// Description:
// Gives each value of an argument, cookie or header (of the request and of a multipart body's parts) that comes more
// than once a name of its own in memory. Names, values and their order read as before. Coraza 3.8.1 keeps a transformed
// value by the address of its name and its place among all values, a place that changes from rule to rule: of two values
// under one name a rule can see one twice and the other not at all, at random.
//
// It belongs before CRS's rules, once a phase, on a target with a single value; the value itself is not looked at.
//
// Returns:
// false.
//
// Example:
// ```seclang
// SecRule REQBODY_ERROR "@separateValues" "id:100001,phase:2,pass,nolog,t:none"
// ```
type separateValues struct{}

var _ plugintypes.Operator = separateValues{}

func init() {
	plugins.RegisterOperator("separateValues", func(options plugintypes.OperatorOptions) (plugintypes.Operator, error) {
		if options.Arguments != "" {
			return nil, fmt.Errorf("operators: @separateValues takes no argument (got %.40q)", options.Arguments)
		}
		return separateValues{}, nil
	})
}

// Evaluate implements [plugintypes.Operator].
func (separateValues) Evaluate(tx plugintypes.TransactionState, _ string) bool {
	v := tx.Variables()
	for _, c := range [...]collection.Map{v.ArgsGet(), v.ArgsPost(), v.ArgsPath(), v.RequestCookies(), v.RequestHeaders(),
		v.MultipartPartHeaders(), v.MultipartFilename()} {
		separate(c)
	}
	return false
}

// separate fills a collection anew where values share a name's address, with the same names and values in the same order.
func separate(c collection.Map) {
	values := c.FindAll()
	if len(values) < 2 {
		return
	}
	addresses := make(map[*byte]bool, len(values))
	for _, value := range values {
		addresses[unsafe.StringData(value.Key())] = true // what Coraza keeps transformed values by
	}
	if len(addresses) == len(values) {
		return
	}
	for _, value := range values {
		c.Remove(value.Key())
	}
	for _, value := range values {
		name := value.Key()
		c.Add(strings.Clone(name + "=")[:len(name)], value.Value()) // an empty name would have no address of its own
	}
}
