// SPDX-License-Identifier: Apache-2.0

package ftw

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/model"
)

// baseline writes the figures that must not fall.
func (b blocked) baseline(t *testing.T) []byte {
	t.Helper()
	all := map[string]figures{}
	for _, family := range b.families {
		all[family.name] = family.figures
	}
	content, err := json.MarshalIndent(all, "", "  ")
	require.NoError(t, err)
	return append(content, '\n')
}

const resultsIntro = `# CRS's own attacks, with the second verdict

Written by ` + "`make ftw-baseline`" + `, model %s, mode second_verdict, threshold 50. ` + "`make ftw`" + ` fails when this page is
not what it finds, or when a family keeps fewer attacks than ` + "`ftw/baseline.json`" + ` says.

Each positive test of CRS's regression suite is sent to plain CRS and to CRS with the second verdict, with the engine on
and at the paranoia level of the rule that the test is for. What plain CRS denies counts as an attack. That is generous
to CRS: many of these tests hold no attack but what a rule happens to look for, such as a missing header or a long
argument, and a second verdict is there to let such requests pass.

| family | attacks that CRS denies | still denied | |
|---|--:|--:|--:|
`

// results writes the page for people.
func (b blocked) results(t *testing.T) []byte {
	t.Helper()
	var page bytes.Buffer
	fmt.Fprintf(&page, resultsIntro, model.Default().ID())
	var all figures
	for _, family := range b.families {
		row(&page, family.name, family.figures)
		all.Attacks += family.Attacks
		all.Denied += family.Denied
	}
	row(&page, "**all**", all)

	page.WriteString("\n## Vetoed, and why\n\nThe test, its paranoia level, the scores of CRS and of the model, and the model's reason.\n")
	for _, family := range b.families {
		if len(family.vetoed) == 0 {
			continue
		}
		fmt.Fprintf(&page, "\n### %s\n\n```text\n", family.name)
		for _, v := range family.vetoed {
			fmt.Fprintf(&page, "%-10s PL%d CRS %2d ML %2d  %s\n", v.test, v.paranoia, v.verdict.CRS.Score, v.verdict.ML.Score, v.verdict.ML.Reason)
		}
		page.WriteString("```\n")
	}
	return page.Bytes()
}

func row(page *bytes.Buffer, name string, f figures) {
	fmt.Fprintf(page, "| %s | %d | %d | %.1f %% |\n", name, f.Attacks, f.Denied, 100*float64(f.Denied)/float64(f.Attacks))
}
