// SPDX-License-Identifier: Apache-2.0

// Package replay runs recorded requests through Coraza and CRS and keeps what the second verdict would see of them.
//
// CRS takes 3 to 300 ms a request. Training and the scoreboard ask about the same requests again and again, so the
// views are kept in a [Cache]. One replay at paranoia level 4 serves every level: a rule of a higher level adds to its
// own level's score only, so the view at level N is the view at level 4 without the matches above N.
package replay

import (
	"errors"
	"fmt"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"

	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/waf"
	"github.com/mlverdict/mlverdict/model/request"
)

// Hour is the hour of the day of every replayed request: recordings carry no time, and a replay must not depend on
// the wall clock.
const Hour = 12

// Recording is a replayed request.
type Recording struct {
	View    request.View // as read at the replayer's paranoia level
	Refused bool         // by Coraza itself, before CRS could judge it: too large, a body that cannot be parsed, too many arguments
}

// Replayer replays requests at one paranoia level. It is safe for concurrent use.
type Replayer struct{ waf coraza.WAF }

// New returns a replayer at paranoia level 4, which serves every level.
func New() (*Replayer, error) { return NewAt(request.ParanoiaLevels) }

// NewAt returns a replayer at a lower paranoia level, which serves the levels up to it in less time.
func NewAt(paranoia int) (*Replayer, error) {
	return newReplayer(waf.Config{Paranoia: paranoia})
}

func newReplayer(c waf.Config) (*Replayer, error) {
	w, err := waf.New(c)
	if err != nil {
		return nil, err
	}
	return &Replayer{w}, nil
}

// Replay runs one request through CRS.
func (r *Replayer) Replay(row *traffic.Request) (rec Recording, err error) {
	tx := r.waf.NewTransaction()
	defer func() { err = errors.Join(err, tx.Close()) }()
	interruption, err := row.Replay(tx)
	if err != nil {
		return rec, err
	}
	rec.Refused = interruption != nil && interruption.RuleID < 900000 // 0, too: what Coraza refuses without a rule
	state, ok := tx.(plugintypes.TransactionState)
	if !ok {
		return rec, fmt.Errorf("replay: this version of Coraza hides a transaction's state (%T)", tx)
	}
	rec.View.Read(state, Hour)
	return rec, nil
}
