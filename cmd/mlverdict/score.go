// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/verdict"
	"github.com/mlverdict/mlverdict/internal/waf"
)

type scoreOptions struct {
	waf     waf.Config
	url     string
	method  string
	headers []string
	data    []string
	format  string
}

func newScoreCommand() *cobra.Command {
	o := scoreOptions{format: "text"}
	cmd := &cobra.Command{
		Use:   "score [FILE | -]",
		Short: "judge one request and tell why",
		Long: `Score sends one request through Coraza, CRS and the second verdict, and prints the verdict, both scores, the model's
reason and the rules of CRS that matched. No connection is made.

The request is raw HTTP in a file or on standard input (-), or what curl would send for --url and the flags beside it.`,
		Example: `  mlverdict score --url "localhost/?id=1' UNION SELECT password FROM users--"
  mlverdict score -u localhost/login -d user=jo -d 'password=x' --paranoia 2 --format json
  printf 'GET /?q=hello HTTP/1.1\nHost: localhost\n\n' | mlverdict score -`,
		Args: func(_ *cobra.Command, files []string) error { return o.check(files) },
		RunE: func(cmd *cobra.Command, files []string) error {
			return o.run(cmd.InOrStdin(), cmd.OutOrStdout(), files)
		},
	}
	wafFlags(cmd, &o.waf)
	f := cmd.Flags()
	f.StringVarP(&o.url, "url", "u", "", "`URL` to request")
	f.StringVarP(&o.method, "request", "X", "", "`METHOD` (default: GET, or POST with --data)")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "`'NAME: VALUE'` to send (repeatable); 'NAME:' sends none of that name")
	f.StringArrayVarP(&o.data, "data", "d", nil, "form `DATA` to send (repeatable)")
	f.Var(&choice{&o.format, []string{"text", "json"}}, "format", "output `FORMAT`: text or json")
	return cmd
}

func (o *scoreOptions) check(files []string) error {
	switch {
	case len(files) > 1:
		return fmt.Errorf("%d files given (want one request)", len(files))
	case len(files) == 0 && o.url == "":
		return errors.New("no request given (want a file with a raw HTTP request, - for standard input, or --url)")
	case len(files) == 1 && (o.url != "" || o.method != "" || o.headers != nil || o.data != nil):
		return errors.New("a file and --url, --request, --header or --data given (want one of them)")
	}
	return nil
}

func (o *scoreOptions) run(stdin io.Reader, stdout io.Writer, files []string) error {
	req, err := o.request(stdin, files)
	if err != nil {
		return err
	}
	if _, err := loadModel(o.waf.ModelPath); err != nil { // its errors are shorter than those of the WAF
		return err
	}
	w, err := waf.New(o.waf)
	if err != nil {
		return err
	}
	tx := w.NewTransaction()
	defer tx.Close()
	if _, err := req.Replay(tx); err != nil {
		return err
	}
	v := verdict.Of(tx)
	if o.format == "json" {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
	return printVerdict(stdout, &v)
}

func (o *scoreOptions) request(stdin io.Reader, files []string) (*traffic.Request, error) {
	if len(files) == 0 {
		return traffic.Build(o.method, o.url, o.headers, o.data)
	}
	if files[0] == "-" {
		return traffic.ParseHTTP(stdin)
	}
	file, err := os.Open(files[0])
	if err != nil {
		return nil, fmt.Errorf("score: %w (want a file with a raw HTTP request, or - for standard input)", err)
	}
	defer file.Close()
	return traffic.ParseHTTP(file)
}

func printVerdict(w io.Writer, v *verdict.Verdict) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "verdict\t%s", v.Decision)
	if v.Denied {
		fmt.Fprintf(t, " (status %d, rule %d)", v.Status, v.Rule)
	}
	fmt.Fprintf(t, "\nCRS score\t%d (denies from %d)\n", v.CRS.Score, v.CRS.Threshold)
	switch {
	case v.ML.Score > 0:
		fmt.Fprintf(t, "ML score\t%d of 1..99, low is an attack (flags up to %d)\n", v.ML.Score, v.ML.Threshold)
		fmt.Fprintf(t, "class\t%s\n", v.ML.Class)
		var classes []string
		for _, class := range slices.Sorted(maps.Keys(v.ML.Classes)) {
			classes = append(classes, fmt.Sprintf("%s %d", class, v.ML.Classes[class]))
		}
		fmt.Fprintf(t, "class scores\t%s\n", strings.Join(classes, ", "))
		fmt.Fprintf(t, "reason\t%s\n", v.ML.Reason)
		fmt.Fprintf(t, "model\t%s\n", v.ML.Model)
	case v.ML.Error != "":
		fmt.Fprintf(t, "ML score\tnone: %s\n", v.ML.Error)
	default:
		fmt.Fprintln(t, "ML score\tnot asked (--mode ml_only always asks)")
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
