// SPDX-License-Identifier: Apache-2.0

// Command mlverdict is the second verdict for the OWASP Core Rule Set on the command line.
//
// # Output
//
// Results go to standard output and nothing else does, so that they can be piped; the result of serve is its access
// log. Notes and errors go to standard error, and progress where that is a terminal. An error begins with "mlverdict: " and
// says what to do. A file that is written is whole or not there; where its name is a symbolic link, the file that the link
// leads to is replaced.
//
// # Exit status
//
// 0 if all went well, also where a request was denied; 1 if something failed, be it one row of many; 2 if the command
// line is wrong.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mlverdict/mlverdict/internal/replay"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the program at once
	os.Exit(run(ctx, newRootCommand(), os.Stderr))
}

// run returns the exit status.
func run(ctx context.Context, root *cobra.Command, stderr io.Writer) int {
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "mlverdict:", stopped)
		return 1
	}
	for line := range strings.Lines(err.Error()) { // of errors that were joined
		fmt.Fprintf(stderr, "mlverdict: %s\n", strings.TrimSuffix(line, "\n"))
	}
	if !errors.As(err, new(usageError)) {
		return 1
	}
	fmt.Fprintf(stderr, "Run '%s --help' for how to use it.\n", cmd.CommandPath())
	return 2
}

// stopped says that a signal ended a run.
const stopped = "stopped before it was done"

// usageError is a command line that cannot be understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "mlverdict",
		Short: "a second verdict for the OWASP Core Rule Set",
		Long: `mlverdict asks an Isolation Forest for a second verdict on what the OWASP Core Rule Set (CRS) flags: a request is denied
only when both take it for an attack.`,
		Example: `  mlverdict serve
  curl -G localhost:8080/ --data-urlencode "id=1' UNION SELECT password FROM users--"`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(cmd.ErrOrStderr())
			return errors.Join(cmd.Help(), usagef("no command given"))
		},
	}
	root.SuggestionsMinimumDistance = 2
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{wrongFlag(err)} })
	root.AddCommand(newServeCommand(), newScoreCommand(), newExplainCommand(),
		newGradeCommand(), newTrainCommand(), newSummarizeCommand(), newTuneCommand(), newEvaluateCommand(), newSuggestCommand(),
		newInspectCommand(), newScoreboardCommand(), newReportCommand(), newAugmentCommand(), newRobustnessCommand())
	wrongArgumentsAreUsageErrors(root)
	return root
}

// wanted names what flags take, by the type that pflag tells.
var wanted = map[string]string{
	"bool":     "true or false",
	"float64":  "a number",
	"int":      "a whole number",
	"intSlice": "whole numbers, separated by commas",
	"uint64":   "a whole number, 0 or more",
}

// wrongFlag says what a flag takes where pflag only tells which function could not read its value.
func wrongFlag(err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) && errors.As(err, new(*strconv.NumError)) {
		f := invalid.GetFlag()
		return fmt.Errorf("invalid argument %q for \"--%s\" flag: want %s", invalid.GetValue(), f.Name, cmp.Or(wanted[f.Value.Type()], f.Value.Type()))
	}
	return err
}

func wrongArgumentsAreUsageErrors(parent *cobra.Command) {
	for _, cmd := range parent.Commands() {
		if check := cmd.Args; check != nil {
			cmd.Args = func(cmd *cobra.Command, args []string) error {
				if err := check(cmd, args); err != nil {
					return usageError{err}
				}
				return nil
			}
		}
		wrongArgumentsAreUsageErrors(cmd)
	}
}

// version names what decides a verdict: this program, Coraza, CRS.
func version() string {
	text := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		text = info.Main.Version
	}
	return strings.Join(append([]string{text}, replay.Modules()...), "\n")
}

func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
		return usagef("unknown command %q: did you mean %s?", args[0], strings.Join(similar, " or "))
	}
	return usagef("unknown command %q", args[0])
}
