// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/mlverdict/mlverdict/internal/synthetic"
	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/verdict"
	"github.com/mlverdict/mlverdict/internal/waf"
)

// checker sends known requests to a server under load and holds each answer and each line of its access log against what
// a WAF in this process, which does nothing else, decides about the same request.
type checker struct {
	known    []known
	answered int
	logged   int
	wrong    []string
}

type known struct {
	request *traffic.Request
	status  int
	log     string // what its line of the log must hold
}

// normal and attacks are how many of either the checker knows.
const normal, attacks = 60, 40

func newChecker(config waf.Config) (*checker, error) {
	w, err := waf.New(config)
	if err != nil {
		return nil, err
	}
	c := &checker{}
	add := func(r *traffic.Request) error {
		_, query, _ := strings.Cut(r.URI, "?")
		path := fmt.Sprintf("/check/%d", len(c.known))
		r.URI = path + "?" + query
		tx := w.NewTransaction()
		defer tx.Close()
		if _, err := r.Replay(tx); err != nil {
			return err
		}
		tx.ProcessLogging()
		v := verdict.Of(tx)
		status := http.StatusOK
		if v.Denied {
			status = v.Status
		}
		c.known = append(c.known, known{r, status, fmt.Sprintf("status=%d method=%s path=%s verdict=%s crs_score=%d crs_threshold=%d ml_score=%d ",
			status, r.Method, path, v.Decision, v.CRS.Score, v.CRS.Threshold, v.ML.Score)})
		return nil
	}
	for r := range synthetic.Benign(normal, 1) {
		err = errors.Join(err, add(r))
	}
	for r := range synthetic.Attacks(attacks, 1) {
		err = errors.Join(err, add(r))
	}
	return c, err
}

// keepAsking sends the known requests in turn until it is told to stop.
func (c *checker) keepAsking(ctx context.Context, url string) error {
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		k := c.known[c.answered%len(c.known)]
		status, err := send(client, url, k.request)
		if err != nil {
			return err
		}
		c.answered++
		if status != k.status {
			c.wrong = append(c.wrong, fmt.Sprintf("%s answered %d, not %d", k.request.URI, status, k.status))
		}
	}
	return nil
}

// send does not end with the checker's context: a request that was sent is answered.
func send(client *http.Client, url string, r *traffic.Request) (status int, err error) {
	out, err := http.NewRequest(r.Method, url+r.URI, bytes.NewReader(r.Body))
	if err != nil {
		return 0, err
	}
	for _, h := range r.Headers {
		out.Header.Set(h[0], h[1])
	}
	out.Host = out.Header.Get("Host")
	res, err := client.Do(out)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

var checkPath = regexp.MustCompile(`path=/check/(\d+) `)

// compareLog holds the lines of the access log that tell of known requests against what they must say.
func (c *checker) compareLog(log string) error {
	for _, line := range lines(log) {
		m := checkPath.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		var i int
		if _, err := fmt.Sscan(m[1], &i); err != nil || i >= len(c.known) {
			return fmt.Errorf("a line of the log tells of no known request: %s", line)
		}
		c.logged++
		if !strings.Contains(line, c.known[i].log) {
			c.wrong = append(c.wrong, fmt.Sprintf("%q does not hold %q", line, c.known[i].log))
		}
	}
	return nil
}

func (c *checker) String() string {
	verdicts := map[string]int{}
	for _, k := range c.known {
		_, rest, _ := strings.Cut(k.log, "verdict=")
		decision, _, _ := strings.Cut(rest, " ")
		verdicts[decision]++
	}
	return fmt.Sprintf("meanwhile %d requests of %d known ones (%d to pass, %d to veto, %d to deny) were sent one by one; each status, and "+
		"verdict and both scores in %d lines of the log, were held against a WAF that does nothing else: %d wrong.",
		c.answered, len(c.known), verdicts["pass"], verdicts["veto"], verdicts["deny"]+verdicts["crs_alone"], c.logged, len(c.wrong))
}

func (c *checker) err() error {
	switch {
	case len(c.wrong) > 0:
		return fmt.Errorf("%d wrong verdicts, the first: %s", len(c.wrong), c.wrong[0])
	case c.answered == 0 || c.logged != c.answered:
		return fmt.Errorf("%d answers and %d lines in the log", c.answered, c.logged)
	}
	return nil
}
