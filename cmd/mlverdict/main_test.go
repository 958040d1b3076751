// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mlverdict/mlverdict/internal/synthetic"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mlverdict": main, "synthetic": writeSynthetic})
}

// TestScripts runs testdata/script. Beside testscript's own commands there are
//
//	serve FLAG...        starts mlverdict serve on a free port
//	get STATUS TARGET    asks it; stdout is the body
//	end                  ends it with SIGTERM: it must exit with 0; stdout and stderr are its own
//	occupy               listens on $TAKEN
//	flip OFFSET FILE     changes one byte of a file; a negative offset counts from its end
//	rename OLD NEW FILE  replaces a text in a model file by one of the same length, and seals the file again
//
// a program of its own
//
//	synthetic KIND N SEED FILE   writes N made-up requests: benign, attacks or payloads
//
// and three model files, $CERTAIN, $SUSPICIOUS and $TRUSTING, that give every request the scores 1, 3 and 90.
func TestScripts(t *testing.T) {
	certain, suspicious, trusting := waftest.Model(t, 1), waftest.Model(t, 3), waftest.Model(t, 90)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("CERTAIN", certain)
			env.Setenv("SUSPICIOUS", suspicious)
			env.Setenv("TRUSTING", trusting)
			env.Values[running{}] = &serving{ended: make(chan struct{})}
			env.Setenv("HOME", env.WorkDir) // where the replay cache goes
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": serve, "get": get, "end": end, "occupy": occupy, "flip": flip, "rename": rename,
		},
	})
}

// serving is a running mlverdict serve, one a script.
type serving struct {
	cmd            *exec.Cmd
	url            string
	stdout, stderr bytes.Buffer
	ended          chan struct{} // closed when stderr is
}

// running is the key of a script's server.
type running struct{}

var address = regexp.MustCompile(`http://\S+`)

func serve(ts *testscript.TestScript, _ bool, flags []string) {
	p := ts.Value(running{}).(*serving)
	p.cmd = exec.Command("mlverdict", append([]string{"serve", "--listen", "127.0.0.1:0"}, flags...)...)
	p.cmd.Dir = ts.MkAbs(".")
	p.cmd.Stdout = &p.stdout
	stderr, err := p.cmd.StderrPipe()
	ts.Check(err)
	ts.Check(p.cmd.Start())
	ts.Defer(func() { p.cmd.Process.Kill() })
	in := bufio.NewReader(stderr)
	first, err := in.ReadString('\n')
	ts.Check(err)
	p.stderr.WriteString(first)
	if p.url = address.FindString(first); p.url == "" {
		ts.Fatalf("no address in %q", first)
	}
	go func() {
		defer close(p.ended)
		io.Copy(&p.stderr, in)
	}()
}

func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: get STATUS TARGET")
	}
	r, err := http.NewRequest(http.MethodGet, ts.Value(running{}).(*serving).url+args[1], nil)
	ts.Check(err)
	r.Host = "localhost" // a numeric host is worth points to CRS
	r.Header.Set("Accept", "*/*")
	res, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer res.Body.Close()
	_, err = io.Copy(ts.Stdout(), res.Body)
	ts.Check(err)
	if strconv.Itoa(res.StatusCode) != args[0] {
		ts.Fatalf("status %d, want %s", res.StatusCode, args[0])
	}
}

func end(ts *testscript.TestScript, _ bool, _ []string) {
	p := ts.Value(running{}).(*serving)
	ts.Check(p.cmd.Process.Signal(syscall.SIGTERM))
	<-p.ended
	ts.Check(p.cmd.Wait())
	ts.Stdout().Write(p.stdout.Bytes())
	ts.Stderr().Write(p.stderr.Bytes())
}

func occupy(ts *testscript.TestScript, _ bool, _ []string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { ln.Close() })
	ts.Setenv("TAKEN", ln.Addr().String())
}

// writeSynthetic is the program synthetic: it writes a file of JSON lines, gzipped if its name says so.
func writeSynthetic() {
	if err := synthesise(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "synthetic:", err)
		os.Exit(1)
	}
}

func synthesise(args []string) error {
	if len(args) != 4 {
		return errors.New("usage: synthetic KIND N SEED FILE")
	}
	kinds := map[string]func(int, uint64) iter.Seq[*traffic.Request]{
		"benign": synthetic.Benign, "attacks": synthetic.Attacks, "payloads": synthetic.Payloads,
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	seed, err := strconv.ParseUint(args[2], 10, 64)
	if err != nil {
		return err
	}
	generate, ok := kinds[args[0]]
	if !ok {
		return fmt.Errorf("unknown kind %q", args[0])
	}
	out, err := traffic.Create(args[3])
	if err != nil {
		return err
	}
	defer out.Discard()
	for row := range generate(n, seed) {
		if err := out.Write(row); err != nil {
			return err
		}
	}
	return out.Close()
}

func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flip OFFSET FILE")
	}
	at, err := strconv.Atoi(args[0])
	ts.Check(err)
	content := []byte(ts.ReadFile(args[1]))
	if at < 0 {
		at += len(content)
	}
	content[at] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), content, 0o600))
}

func rename(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 || len(args[0]) != len(args[1]) {
		ts.Fatalf("usage: rename OLD NEW FILE, OLD as long as NEW")
	}
	content := []byte(ts.ReadFile(args[2]))
	body := bytes.Replace(content[:len(content)-sha256.Size], []byte(args[0]), []byte(args[1]), 1)
	if bytes.Equal(body, content[:len(body)]) {
		ts.Fatalf("%s does not hold %q", args[2], args[0])
	}
	sum := sha256.Sum256(body)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), append(body, sum[:]...), 0o600))
}
