// SPDX-License-Identifier: Apache-2.0

// Package operators adds the rule operators @detectAnomaly and @separateValues to Coraza. Importing it registers them.
package operators

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/corazawaf/coraza/v3/collection"
	"github.com/corazawaf/coraza/v3/experimental/plugins"
	"github.com/corazawaf/coraza/v3/experimental/plugins/macro"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"

	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/evidence"
	"github.com/mlverdict/mlverdict/model/request"
)

// Description:
// Judges the whole request with an isolation forest and compares the score with a threshold. Scores run from 1, surely
// an attack, to 99, clean. It belongs after CRS's rules, whose matches are part of what it judges, and on a target with
// a single value, since Coraza calls it once per value; the value itself is not looked at.
//
// The request is judged once per phase: further rules of the phase get the same score, unless another model judged in
// between. A later phase judges afresh, because it knows more of the request.
//
// Arguments:
// THRESHOLD [model=PATH]
// The threshold is a number from 1 to 99 or a macro. Without a model path the model named by the data set
// "ml-verdict-model" judges, and without that one the embedded model. A path is tried as it is in the WAF's file
// system, then as @pmFromFile does. A model that cannot be read is a start-up error.
//
// Returns:
// true if the score is at or below the threshold. false without a score: the model could not answer, or the macro did
// not expand to a number from 1 to 99; TX:ml_score is 0 then and TX:ml_error says why.
//
// Sets TX:ml_score, TX:ml_score_<class> for every class of attack (sqli, xss, …; same scale), TX:ml_class (the likeliest
// one), TX:ml_reason (short, for a log line) and TX:ml_model (the model's id). With the action capture, TX:0 is the
// score and TX:1 the class.
//
// Example:
// ```seclang
// # Deny what the model flags although CRS does not
// SecRule TX:BLOCKING_INBOUND_ANOMALY_SCORE "@detectAnomaly 5" "id:100001,phase:2,deny,log,msg:'%{tx.ml_reason}'"
//
// # Own threshold and model
// SecRule TX:BLOCKING_INBOUND_ANOMALY_SCORE "@detectAnomaly %{tx.limit} model=/etc/mlverdict/site.model" "id:100002,phase:2,deny"
// ```
type detectAnomaly struct {
	threshold macro.Macro
	model     judge
}

// judge is what the operator needs of a *model.Model.
type judge interface {
	ID() string
	Judge(*request.View, *model.Verdict) error
}

var _ plugintypes.Operator = (*detectAnomaly)(nil)

func newDetectAnomaly(options plugintypes.OperatorOptions) (plugintypes.Operator, error) {
	threshold, path, err := parseArguments(options.Arguments)
	if err != nil {
		return nil, err
	}
	m, err := chooseModel(path, options)
	if err != nil {
		return nil, err
	}
	return &detectAnomaly{threshold: threshold, model: m}, nil
}

func init() {
	plugins.RegisterOperator("detectAnomaly", newDetectAnomaly)
}

// Names of the TX variables. ml_judged is private to the operator: which model judged in which phase.
const (
	txScore  = "ml_score"
	txClass  = "ml_class"
	txReason = "ml_reason"
	txModel  = "ml_model"
	txError  = "ml_error"
	txJudged = "ml_judged"
)

// txClassScore holds the name of each class's TX variable.
var txClassScore = func() (names [evidence.Classes]string) {
	for c := range names {
		names[c] = txScore + "_" + evidence.Class(c).String()
	}
	return names
}()

// Evaluate implements [plugintypes.Operator].
func (o *detectAnomaly) Evaluate(tx plugintypes.TransactionState, _ string) bool {
	threshold, err := o.limit(tx)
	if err != nil {
		return refuse(tx, err)
	}
	score, err := o.score(tx)
	if err != nil {
		return refuse(tx, err)
	}
	if tx.Capturing() {
		tx.CaptureField(0, strconv.Itoa(score))
		tx.CaptureField(1, get(tx.Variables().TX(), txClass))
	}
	return score <= threshold
}

// limit returns the threshold, 1..99.
func (o *detectAnomaly) limit(tx plugintypes.TransactionState) (int, error) {
	return parseThreshold(o.threshold.Expand(tx), o.threshold.String())
}

// score returns the score of this phase, 1..99, from the TX variables if they hold it.
func (o *detectAnomaly) score(tx plugintypes.TransactionState) (score int, err error) {
	vars := tx.Variables().TX()
	judged := o.model.ID() + "/" + strconv.Itoa(int(tx.LastPhase()))
	if get(vars, txJudged) == judged {
		return strconv.Atoi(get(vars, txScore))
	}

	s := scratches.Get().(*scratch)
	defer func() {
		if r := recover(); r != nil { // what the panic left in s is dropped with it
			tx.DebugLogger().Error().Str("stack", string(debug.Stack())).Msg("@detectAnomaly panicked")
			score, err = 0, fmt.Errorf("the model panicked: %.120v", r)
			return
		}
		s.release()
	}()
	s.view.Read(tx, time.Now().Hour())
	if err := o.model.Judge(&s.view, &s.verdict); err != nil {
		return 0, err
	}
	if s.verdict.Score < 1 {
		return 0, errors.New("the model gave no score")
	}
	publish(vars, o.model.ID(), &s.verdict)
	set(vars, txJudged, judged)
	return s.verdict.Score, nil
}

// scratch is what one evaluation needs, kept for the next one.
type scratch struct {
	view    request.View
	verdict model.Verdict
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// release gives s back with nothing of the request in it, neither its text nor its verdict.
func (s *scratch) release() {
	clear(s.view.Values)
	clear(s.view.Matches)
	s.verdict = model.Verdict{}
	scratches.Put(s)
}

func publish(vars collection.Map, model string, v *model.Verdict) {
	set(vars, txScore, strconv.Itoa(v.Score))
	for c, score := range v.ClassScores {
		set(vars, txClassScore[c], strconv.Itoa(score))
	}
	set(vars, txClass, v.Class.String())
	set(vars, txReason, v.Reason())
	set(vars, txModel, model)
	vars.Remove(txError)
}

// refuse leaves the decision to CRS: no score, no match, and the cause where a rule can log it.
func refuse(tx plugintypes.TransactionState, cause error) bool {
	tx.DebugLogger().Error().Err(cause).Msg("@detectAnomaly cannot answer")
	vars := tx.Variables().TX()
	for _, name := range []string{txClass, txReason, txModel, txJudged} {
		vars.Remove(name)
	}
	for _, name := range txClassScore {
		vars.Remove(name)
	}
	set(vars, txScore, "0")
	set(vars, txError, cause.Error())
	return false
}

func set(vars collection.Map, key, value string) { vars.Set(key, []string{value}) }

func get(vars collection.Map, key string) string {
	if values := vars.Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}
