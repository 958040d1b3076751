// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/plugin"
)

// wafFlags declares the flags of every command that builds a WAF with the plugin, and sets their defaults.
func wafFlags(cmd *cobra.Command, c *waf.Config) {
	c.Plugin, c.Paranoia, c.Mode, c.Threshold, c.DetectThreshold = true, 1, string(plugin.SecondVerdict), 50, 40
	var modes []string
	for _, mode := range plugin.Modes() {
		modes = append(modes, string(mode))
	}
	f := cmd.Flags()
	f.Var(&bounded{&c.Paranoia, 1, 4}, "paranoia", "blocking and detection paranoia `LEVEL` of CRS, 1 to 4")
	f.Var(&choice{&c.Mode, modes}, "mode", "`MODE` of the second verdict: "+strings.Join(modes, ", "))
	f.Var(&bounded{&c.Threshold, model.MinScore, model.MaxScore}, "threshold", "`SCORE`, 1 to 99, at or below which the model flags a request")
	f.Var(&bounded{&c.DetectThreshold, model.MinScore, model.MaxScore}, "detect-threshold",
		"`SCORE`, 1 to 99, at or below which mode detect denies what CRS passes")
	modelFlag(cmd, &c.ModelPath)
}

// modelFlag declares --model.
func modelFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "model", "", "model `FILE` (default: the embedded model)")
}

// cacheFlag declares --cache.
func cacheFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "cache", "", "`DIR` of the replay cache (default: mlverdict in the user's cache folder)")
}

// measureOptions are those of the commands that ask a model about replayed requests.
type measureOptions struct{ model, cache string }

func (o *measureOptions) declare(cmd *cobra.Command) {
	modelFlag(cmd, &o.model)
	cacheFlag(cmd, &o.cache)
}

// open opens the model and the cache, which the caller must close.
func (o *measureOptions) open() (*model.Model, *replay.Cache, error) {
	m, err := loadModel(o.model)
	if err != nil {
		return nil, nil, err
	}
	cache, err := replay.OpenCache(o.cache)
	return m, cache, err
}

// bounded is a flag's number between two others.
type bounded struct {
	value    *int
	min, max int
}

var _ pflag.Value = (*bounded)(nil)

func (b *bounded) String() string {
	if b.value == nil { // pflag asks the zero value, too
		return ""
	}
	return strconv.Itoa(*b.value)
}

func (b *bounded) Type() string { return "int" }

func (b *bounded) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < b.min || n > b.max {
		return fmt.Errorf("want a number from %d to %d", b.min, b.max)
	}
	*b.value = n
	return nil
}

// choice is a flag's word out of several.
type choice struct {
	value *string
	among []string
}

var _ pflag.Value = (*choice)(nil)

func (c *choice) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}

func (c *choice) Type() string { return "string" }

func (c *choice) Set(s string) error {
	if !slices.Contains(c.among, s) {
		return fmt.Errorf("want %s", strings.Join(c.among, ", "))
	}
	*c.value = s
	return nil
}
