// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"
	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/explanation"
	"github.com/mlverdict/mlverdict/internal/verdict"
	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/model/request"
)

type explainOptions struct {
	waf     waf.Config
	request requestFlags
	format  string
	output  string
}

func newExplainCommand() *cobra.Command {
	o := explainOptions{format: "text"}
	cmd := &cobra.Command{
		Use:   "explain " + requestUse,
		Short: "take the verdict on one request apart",
		Long: `Explain judges one request as score does and shows what the verdict rests on: the text of every value with its most
suspicious stretch, every rule of CRS that matched and how often it matches normal requests, what each feature adds to the
forest's answer, and where that stands on the scale. No connection is made. docs/explain.md says how to read it.

` + requestHelp + `

The result quotes the request: look where you send it.`,
		Example: `  mlverdict explain --url "localhost/?id=1' UNION SELECT password FROM users--"
  mlverdict explain --format html -o why.html request.http
  mlverdict explain --row 17 may.jsonl.gz --paranoia 2`,
		RunE: func(cmd *cobra.Command, files []string) error {
			return o.run(cmd.InOrStdin(), cmd.OutOrStdout(), files)
		},
	}
	wafFlags(cmd, &o.waf)
	o.request.declare(cmd)
	f := cmd.Flags()
	f.Var(&choice{&o.format, []string{"text", "html", "json"}}, "format", "output `FORMAT`: text, html or json")
	f.StringVarP(&o.output, "output", "o", "", "`FILE` to write (default: standard output)")
	return cmd
}

func (o *explainOptions) run(stdin io.Reader, stdout io.Writer, files []string) error {
	if err := checkOutput("--output", &o.output, slices.Concat(files, []string{o.waf.ModelPath})...); err != nil {
		return err
	}
	req, err := o.request.read(stdin, files)
	if err != nil {
		return err
	}
	tx, m, err := judge(o.waf, req)
	if err != nil {
		return err
	}
	defer tx.Close()
	v := verdict.Of(tx)
	view, err := viewOf(tx, &v)
	if err != nil {
		return err
	}
	e, err := explanation.New(req, v, m, view)
	if err != nil {
		return err
	}
	return o.write(stdout, e)
}

// viewOf reads what the model saw of a request; nil where CRS never came to look at it.
func viewOf(tx types.Transaction, v *verdict.Verdict) (*request.View, error) {
	if v.Decision == verdict.Engine {
		return nil, nil
	}
	state, ok := tx.(plugintypes.TransactionState)
	if !ok {
		return nil, fmt.Errorf("explain: this version of Coraza hides a transaction's state (%T)", tx)
	}
	view := new(request.View)
	view.Read(state, time.Now().Hour()) // as the operator does
	return view, nil
}

func (o *explainOptions) write(stdout io.Writer, e *explanation.Explanation) error {
	var b bytes.Buffer
	var err error
	switch o.format {
	case "html":
		err = e.HTML(&b)
	case "json":
		err = e.JSON(&b)
	default:
		marks := explanation.Brackets
		if o.output == "" && isTerminal(stdout) {
			marks = explanation.Terminal
		}
		err = e.Text(&b, marks)
	}
	switch {
	case err != nil:
		return err
	case o.output == "":
		_, err = stdout.Write(b.Bytes())
		return err
	}
	return renameio.WriteFile(o.output, b.Bytes(), 0o600)
}
