// SPDX-License-Identifier: Apache-2.0

// Command caddy is Caddy with coraza-caddy and the second verdict: the program that
//
//	xcaddy build --with github.com/corazawaf/coraza-caddy/v2 --with github.com/mlverdict/mlverdict/plugin/crs
//
// writes and builds, with the versions of this module's go.mod.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "github.com/corazawaf/coraza-caddy/v2"

	_ "github.com/mlverdict/mlverdict/plugin/crs"
)

func main() { caddycmd.Main() }
