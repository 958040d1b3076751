// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mlverdict/mlverdict/internal/waf"
)

type loadOptions struct {
	duration    time.Duration
	connections int
	into        string
}

func newLoadCommand() *cobra.Command {
	var o loadOptions
	cmd := &cobra.Command{
		Use:   "load",
		Short: "put mlverdict serve under load by wrk, and check its verdicts meanwhile",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().DurationVar(&o.duration, "duration", 10*time.Second, "`TIME` that wrk sends each request")
	cmd.Flags().IntVar(&o.connections, "connections", 8, "`NUMBER` of wrk's connections")
	intoFlag(cmd, &o.into)
	return cmd
}

// loads are what wrk sends.
var loads = []struct {
	name, target string
	headers      []string
}{
	{"GET that CRS passes", "/?q=hello", nil},
	{"GET that both flag", "/?id=1%27%20UNION%20SELECT%20password%20FROM%20users--", nil},
	{"GET that CRS flags and the model clears", "/?gdpr=0&us_privacy=1---", nil},
	{"GET that CRS flags for a cookie and the model clears", "/news?page=2",
		[]string{`Cookie: lang=en; _stat_4711={"visits":"[1735689600]","campaigns":{"102":1735689600,"117":1735776000}}`}},
}

func (o *loadOptions) run(ctx context.Context, out, progress io.Writer) error {
	if _, err := exec.LookPath("wrk"); err != nil {
		return errors.New("wrk is missing: make load installs it, or apt-get install wrk")
	}
	folder, err := os.MkdirTemp("", "mlverdict-load")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	product := filepath.Join(folder, "mlverdict")
	if _, err := command(ctx, "..", "go", "build", "-o", product, "./cmd/mlverdict"); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	servers := []*contender{
		{name: "CRS alone", config: waf.Config{Paranoia: 1}, command: []string{self, "serve"}},
		{name: "mlverdict serve", config: waf.Config{Paranoia: 1, Plugin: true, Mode: "second_verdict", Threshold: 50, DetectThreshold: 40},
			command: []string{product, "serve", "--listen", "127.0.0.1:0"}},
	}
	text := fmt.Sprintf("%s. wrk with %d connections for %v each, servers, wrk and checker on the same cores.", conditions(), o.connections, o.duration)
	t, err := o.measure(ctx, progress, servers)
	if err != nil {
		return err
	}
	text += load() + "\n\n" + t.String() + "\n"
	for _, s := range servers {
		text += fmt.Sprintf("%s: %s\n\n", s.name, s.checker)
		err = errors.Join(err, s.checker.err())
	}
	return errors.Join(publish(out, o.into, "load", text), err)
}

// contender is a program under load, and what its verdicts are held against.
type contender struct {
	name    string
	config  waf.Config
	command []string
	checker *checker
	process *process
}

// measure starts the servers and has wrk send each load to one after the other, while the checker sends its requests.
func (o *loadOptions) measure(ctx context.Context, progress io.Writer, servers []*contender) (*table, error) {
	for _, s := range servers {
		var err error
		if s.checker, err = newChecker(s.config); err != nil {
			return nil, err
		}
		if s.process, err = startProcess(ctx, s.command); err != nil {
			return nil, err
		}
		defer s.process.kill()
	}
	t := newTable("Request", "server", "requests/s", "50 %", "90 %", "99 %")
	for _, l := range loads {
		for _, s := range servers {
			fmt.Fprintf(progress, "%s: %s\n", s.name, l.name)
			checking, stop := context.WithCancel(ctx)
			checked := make(chan error, 1)
			go func() { checked <- s.checker.keepAsking(checking, s.process.url) }()
			figures, err := o.wrk(ctx, s.process.url+l.target, l.headers)
			stop()
			if err := errors.Join(err, <-checked); err != nil {
				return nil, err
			}
			t.row(append([]string{l.name, s.name}, figures...)...)
		}
	}
	for _, s := range servers {
		log, err := s.process.stop()
		if err != nil {
			return nil, err
		}
		if err := s.checker.compareLog(log); err != nil {
			return nil, err
		}
	}
	return t, nil
}

var (
	perSecond  = regexp.MustCompile(`Requests/sec:\s+(\S+)`)
	percentile = regexp.MustCompile(`(?m)^\s+(50|90|99)%\s+(\S+)$`)
	socket     = regexp.MustCompile(`Socket errors: .*`)
)

// wrk returns the requests a second and the percentiles of latency.
func (o *loadOptions) wrk(ctx context.Context, url string, headers []string) ([]string, error) {
	args := []string{"--latency", "-t", "1", "-c", fmt.Sprint(o.connections), "-d", fmt.Sprintf("%ds", int(o.duration.Seconds())),
		"-H", "Host: localhost", "-H", "Accept: */*", "-H", "User-Agent: Mozilla/5.0"}
	for _, h := range headers {
		args = append(args, "-H", h)
	}
	output, err := command(ctx, ".", "wrk", append(args, url)...)
	if err != nil {
		return nil, err
	}
	if broken := socket.Find(output); broken != nil {
		return nil, fmt.Errorf("wrk: %s", broken)
	}
	rate, latency := perSecond.FindSubmatch(output), percentile.FindAllSubmatch(output, -1)
	if rate == nil || len(latency) != 3 {
		return nil, fmt.Errorf("wrk printed something else:\n%s", output)
	}
	figures := []string{string(rate[1])}
	for _, l := range latency {
		figures = append(figures, string(l[2]))
	}
	return figures, nil
}

// process is a running program.
type process struct {
	cmd *exec.Cmd
	url string
	log *os.File
}

var address = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// startProcess runs a program that tells its address in the first line on standard error, as mlverdict serve does.
func startProcess(ctx context.Context, program []string) (*process, error) {
	log, err := os.CreateTemp("", "mlverdict-load-*.log")
	if err != nil {
		return nil, err
	}
	s := &process{cmd: exec.CommandContext(ctx, program[0], program[1:]...), log: log}
	s.cmd.Stdout = log
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	in := bufio.NewReader(stderr)
	first, err := in.ReadString('\n')
	if s.url = address.FindString(first); s.url == "" {
		s.kill()
		return nil, errors.Join(fmt.Errorf("%s told no address: %q", program[0], first), err)
	}
	go io.Copy(os.Stderr, in)
	return s, nil
}

// stop ends the server as a service manager does and returns its access log.
func (s *process) stop() (string, error) {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return "", err
	}
	if err := s.cmd.Wait(); err != nil {
		return "", fmt.Errorf("server: %w", err)
	}
	log, err := os.ReadFile(s.log.Name())
	return string(log), err
}

func (s *process) kill() {
	_ = s.cmd.Process.Kill()
	s.log.Close()
	os.Remove(s.log.Name())
}

// lines of a log.
func lines(log string) []string { return strings.Split(strings.TrimSpace(log), "\n") }
