// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/corazawaf/coraza/v3/types"
	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/verdict"
	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/model"
)

type scoreOptions struct {
	waf     waf.Config
	request requestFlags
	format  string
}

func newScoreCommand() *cobra.Command {
	o := scoreOptions{format: "text"}
	cmd := &cobra.Command{
		Use:   "score " + requestUse,
		Short: "judge one request and tell why",
		Long: `Score sends one request through Coraza, CRS and the second verdict, and prints the verdict, both scores, the model's
reason and the rules of CRS that matched. No connection is made.

` + requestHelp,
		Example: `  mlverdict score --url "localhost/?id=1' UNION SELECT password FROM users--"
  mlverdict score -u localhost/login -d user=jo -d 'password=x' --paranoia 2 --format json
  printf 'GET /?q=hello HTTP/1.1\nHost: localhost\n\n' | mlverdict score -`,
		RunE: func(cmd *cobra.Command, files []string) error {
			return o.run(cmd.InOrStdin(), cmd.OutOrStdout(), files)
		},
	}
	wafFlags(cmd, &o.waf)
	o.request.declare(cmd)
	cmd.Flags().Var(&choice{&o.format, []string{"text", "json"}}, "format", "output `FORMAT`: text or json")
	return cmd
}

func (o *scoreOptions) run(stdin io.Reader, stdout io.Writer, files []string) error {
	req, err := o.request.read(stdin, files)
	if err != nil {
		return err
	}
	tx, _, err := judge(o.waf, req)
	if err != nil {
		return err
	}
	defer tx.Close()
	v := verdict.Of(tx)
	if o.format == "json" {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
	return printVerdict(stdout, &v)
}

// judge takes a request through the phases of a WAF. It returns the transaction, which the caller must close, and the
// model that was there to be asked.
func judge(config waf.Config, req *traffic.Request) (types.Transaction, *model.Model, error) {
	m, err := loadModel(config.ModelPath) // its errors are shorter than those of the WAF
	if err != nil {
		return nil, nil, err
	}
	w, err := waf.New(config)
	if err != nil {
		return nil, nil, err
	}
	tx := w.NewTransaction()
	if _, err := req.Replay(tx); err != nil {
		return nil, nil, errors.Join(err, tx.Close())
	}
	return tx, m, nil
}

func printVerdict(w io.Writer, v *verdict.Verdict) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range v.Summary() {
		fmt.Fprintf(t, "%s\t%s\n", line.Name, line.Text)
	}
	for i, m := range v.Matches {
		head := "rules"
		if i > 0 {
			head = ""
		}
		fmt.Fprintf(t, "%s\t%d (paranoia level %d, %s) %s\n", head, m.Rule, m.Paranoia, m.Severity, printable(m.Message))
		if m.Data != "" {
			fmt.Fprintf(t, "\t  %s\n", printable(m.Data))
		}
	}
	return t.Flush()
}

// printable makes text from a request safe for a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
