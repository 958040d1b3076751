// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/snippets"
	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/internal/waf/waftest"
)

// The commands of exclusions.md print what stands there, and the file that they write spares CRS what it says.
func TestExclusions(t *testing.T) {
	site := newSite(t)
	var traffic strings.Builder
	for i, uri := range []string{"/", "/news", "/?gdpr=0&us_privacy=1---", "/shop?us_privacy=1---", "/news?us_privacy=1---&page=2"} {
		fmt.Fprintf(&traffic, `{"method":"GET","uri":%q,"headers":[["Host","%s.example"],["User-Agent","Mozilla/5.0"],["Accept","*/*"]]}`+"\n",
			uri, []string{"shop", "blog"}[i%2])
	}
	for _, number := range []string{"4711", "4712", "4713"} {
		fmt.Fprintf(&traffic, `{"method":"GET","uri":"/news/summer-sale?page=2","headers":[["Host","shop.example"],["User-Agent","Mozilla/5.0"],`+
			`["Accept","*/*"],["Cookie","_stat_%s={\"visits\":\"[1735689600]\",\"campaigns\":{\"102\":1735689600,\"117\":1735776000}}"]]}`+"\n", number)
	}
	require.NoError(t, os.WriteFile(filepath.Join(site.dir, "traffic.jsonl"), []byte(traffic.String()), 0o600))
	all := snippets.Read(t, "exclusions.md")
	require.Len(t, all, 4)
	id := regexp.MustCompile("model [0-9a-f]{12}")
	for _, i := range []int{0, 2} {
		assert.Equal(t, id.ReplaceAllString(all[i+1].Text, "model"), id.ReplaceAllString(site.sh(t, all[i].Text), "model"))
	}
	found, err := os.ReadFile(filepath.Join(site.dir, "exclusions.conf"))
	require.NoError(t, err)
	alone := func(after string) int {
		w := waftest.New(t, func(c *waf.Config) { *c = waf.Config{Paranoia: 1, AfterCRS: after} })
		return waftest.Ask(t, w, waftest.Get("/shop?us_privacy=1---")).Status
	}
	assert.Equal(t, http.StatusForbidden, alone(""))
	assert.Equal(t, http.StatusOK, alone(string(found)))
}
