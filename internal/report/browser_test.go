// SPDX-License-Identifier: Apache-2.0

//go:build browser

package report

import (
	"bytes"
	"context"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// chromium opens a page without a window and returns its document and what its console says.
func chromium(t *testing.T, html []byte, flags ...string) (document, console string) {
	t.Helper()
	dir := t.TempDir()
	page := filepath.Join(dir, "page.html")
	require.NoError(t, os.WriteFile(page, html, 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "chromium", append([]string{"--headless", "--no-sandbox", "--disable-gpu",
		"--disable-dev-shm-usage", "--user-data-dir=" + dir, "--enable-logging=stderr", "--window-size=1300,2600", "--dump-dom"},
		append(flags, "file://"+page)...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Run(), "%s (Debian's package chromium)", stderr.String())
	for line := range strings.Lines(stderr.String()) {
		if strings.Contains(line, "CONSOLE") {
			console += line
		}
	}
	return stdout.String(), console
}

func TestChromiumRendersWithoutComplaint(t *testing.T) {
	_, console := chromium(t, []byte(`<!DOCTYPE html><title>x</title><script>console.error("seen")</script>`))
	require.Contains(t, console, "seen", "a complaint would be noticed")

	r, m := example()
	var b bytes.Buffer
	require.NoError(t, Write(&b, r, m))
	document, console := chromium(t, b.Bytes())
	assert.Empty(t, console)
	assert.Equal(t, 8, strings.Count(document, "<svg"), "two plots for each paranoia level")
	assert.Contains(t, document, "Worst false positives: 1 of")
}

func TestChromiumPaintsThePlots(t *testing.T) {
	r, m := example()
	var b bytes.Buffer
	require.NoError(t, Write(&b, r, m))
	shot := filepath.Join(t.TempDir(), "page.png")
	chromium(t, b.Bytes(), "--screenshot="+shot)
	file, err := os.Open(shot)
	require.NoError(t, err)
	defer file.Close()
	image, err := png.Decode(file)
	require.NoError(t, err)
	painted := map[[3]uint32]bool{}
	for y := image.Bounds().Min.Y; y < image.Bounds().Max.Y; y++ {
		for x := image.Bounds().Min.X; x < image.Bounds().Max.X; x++ {
			red, green, blue, _ := image.At(x, y).RGBA()
			painted[[3]uint32{red >> 8, green >> 8, blue >> 8}] = true
		}
	}
	assert.True(t, painted[[3]uint32{0x00, 0x72, 0xB2}], "our line")
	assert.True(t, painted[[3]uint32{0xD5, 0x5E, 0x00}], "a rival's line")
}
