// SPDX-License-Identifier: Apache-2.0

package operators

import "github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"

// Judge is what stands in for a model in tests.
type Judge = judge

// New is the operator's factory.
var New plugintypes.OperatorFactory = newDetectAnomaly

// Judging returns the factory of an operator that asks j instead of a model.
func Judging(j Judge) plugintypes.OperatorFactory {
	return func(options plugintypes.OperatorOptions) (plugintypes.Operator, error) {
		threshold, _, err := parseArguments(options.Arguments)
		if err != nil {
			return nil, err
		}
		return &detectAnomaly{threshold: threshold, model: j}, nil
	}
}
