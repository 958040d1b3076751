// SPDX-License-Identifier: Apache-2.0

package training_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/training"
	"github.com/mlverdict/mlverdict/model/evidence"
)

func TestGrammars(t *testing.T) {
	all := slices.Collect(training.Grammars(1))
	assert.Equal(t, all, slices.Collect(training.Grammars(1)), "the same seed, the same payloads")
	classes := map[string]int{}
	texts := map[string]struct{}{}
	for _, r := range all {
		assert.Equal(t, traffic.Attack, r.Label)
		assert.True(t, r.IsPayload(), "%q", r.Payload)
		assert.False(t, strings.ContainsAny(r.Payload, "«¦»␍␊␀␉"), "%q", r.Payload)
		classes[r.Class]++
		texts[r.Payload] = struct{}{}
	}
	assert.Len(t, texts, len(all), "no payload comes twice")
	for class, n := range classes {
		assert.Greater(t, n, 10, class)
	}
	for class, label := range map[evidence.Class]string{
		evidence.RCE: "rce", evidence.SSTI: "ssti", evidence.PHP: "php", evidence.Java: "java", evidence.LFI: "lfi", evidence.Other: "ldap",
	} {
		assert.Equal(t, class, evidence.ClassOf(label))
		assert.Contains(t, classes, label)
	}
}
