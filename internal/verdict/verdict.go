// SPDX-License-Identifier: Apache-2.0

// Package verdict reads off a transaction what was decided about its request, and why: what serve writes into its
// access log and score prints.
package verdict

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"

	"github.com/mlverdict/mlverdict/model/request"
	"github.com/mlverdict/mlverdict/plugin"
	"github.com/mlverdict/mlverdict/rules"
)

// Decision names what became of a request, under an engine that blocks (SecRuleEngine On).
type Decision string

// The decisions. In shadow mode CRS alone decides; Deny and CRSAlone then tell whether second_verdict would agree.
const (
	Pass     Decision = "pass"      // CRS flags nothing, and nothing else denied it
	Veto     Decision = "veto"      // CRS flags it, the model clears it: let through
	Deny     Decision = "deny"      // CRS and the model flag it
	CRSAlone Decision = "crs_alone" // CRS flags it and denies without the model's consent
	MLAlone  Decision = "ml_alone"  // the model denies what CRS does not flag (modes detect and ml_only)
	Outbound Decision = "outbound"  // CRS denies the response, not the request
	Engine   Decision = "engine"    // a rule outside of CRS denies: a body that cannot be parsed, too many arguments…
)

// Verdict is what was decided about one request.
type Verdict struct {
	Transaction string   `json:"transaction"`
	Decision    Decision `json:"verdict"`
	Denied      bool     `json:"denied"`
	Status      int      `json:"status,omitempty"` // of the denial; 0 if not denied
	Rule        int      `json:"rule,omitempty"`   // the rule that denied
	Mode        string   `json:"mode,omitempty"`   // as set; empty without the plugin
	CRS         CRS      `json:"crs"`
	ML          ML       `json:"ml"`
	Matches     []Match  `json:"rules"` // the rules of CRS that found something, by id
}

// CRS is the first verdict.
type CRS struct {
	Score     int `json:"score"`     // blocking inbound anomaly score
	Threshold int `json:"threshold"` // CRS denies at or above it
}

// ML is the second verdict.
type ML struct {
	Score     int            `json:"score"`     // 1..99, low = attack; 0 = not asked, or no answer
	Threshold int            `json:"threshold"` // flagged at or below it, which in mode detect depends on what CRS says; 0 without the plugin
	Class     string         `json:"class,omitempty"`
	Classes   map[string]int `json:"class_scores,omitempty"` // for each class, on the same scale
	Reason    string         `json:"reason,omitempty"`
	Model     string         `json:"model,omitempty"`
	Error     string         `json:"error,omitempty"` // why there is no score
}

// Flags reports whether CRS would deny.
func (c CRS) Flags() bool { return c.Threshold > 0 && c.Score >= c.Threshold }

// Flags reports whether the model calls the request an attack.
func (m ML) Flags() bool { return m.Score > 0 && m.Score <= m.Threshold }

// Match is a rule of CRS that found something.
type Match struct {
	Rule     int    `json:"id"`
	Severity string `json:"severity"`
	Paranoia int    `json:"paranoia_level"`
	Message  string `json:"message"`
	Data     string `json:"data,omitempty"` // what it found, and where; any bytes
}

// Of reads a transaction's verdict, after phase 2 or later and before it is closed.
func Of(tx types.Transaction) Verdict {
	v := Verdict{Transaction: tx.ID(), Matches: matches(tx.MatchedRules())}
	if state, ok := tx.(plugintypes.TransactionState); ok {
		v.read(state)
	}
	if in := tx.Interruption(); in != nil {
		v.Denied, v.Status, v.Rule = true, in.Status, in.RuleID
	}
	v.Decision = v.decision()
	return v
}

// read takes over what CRS and the plugin left in TX.
func (v *Verdict) read(tx plugintypes.TransactionState) {
	vars := map[string]string{}
	for _, data := range tx.Variables().TX().FindAll() {
		vars[strings.ToLower(data.Key())] = data.Value()
	}
	number := func(key string) int {
		n, _ := strconv.Atoi(vars[key]) // what is unset or no number counts as 0, as it does in rules
		return n
	}
	v.Mode = vars["ml-verdict-plugin_mode"]
	v.CRS = CRS{number("blocking_inbound_anomaly_score"), number("inbound_anomaly_score_threshold")}
	v.ML = ML{
		Score: number("ml_score"), Threshold: number("ml-verdict-plugin_threshold"),
		Class: vars["ml_class"], Reason: vars["ml_reason"], Model: vars["ml_model"], Error: vars["ml_error"],
	}
	if v.Mode == string(plugin.Detect) {
		detect := number("ml-verdict-plugin_detect_threshold")
		if v.CRS.Flags() {
			detect = max(detect, v.ML.Threshold)
		}
		v.ML.Threshold = detect
	}
	for key := range vars {
		if class, ok := strings.CutPrefix(key, "ml_score_"); ok {
			if v.ML.Classes == nil {
				v.ML.Classes = map[string]int{}
			}
			v.ML.Classes[class] = number(key)
		}
	}
}

func (v *Verdict) decision() Decision {
	switch {
	case v.Denied && !rules.Owns(v.Rule) && v.Rule >= 950000 && v.Rule < 960000:
		return Outbound
	case v.Denied && !rules.Owns(v.Rule) && v.Rule != 949110 && v.Rule != 949111:
		return Engine
	case v.Denied && !v.CRS.Flags():
		return MLAlone
	case v.Denied && v.ML.Flags():
		return Deny
	case v.Denied:
		return CRSAlone
	case v.CRS.Flags():
		return Veto
	}
	return Pass
}

// matches lists the rules of CRS that score, each once: a rule can match in two phases.
func matches(matched []types.MatchedRule) []Match {
	list := []Match{}
	for _, mr := range matched {
		rule := mr.Rule()
		level := request.RuleParanoia(rule.Tags())
		if level == 0 || mr.Message() == "" {
			continue
		}
		list = append(list, Match{rule.ID(), rule.Severity().String(), level, mr.Message(), mr.Data()})
	}
	slices.SortStableFunc(list, func(a, b Match) int { return cmp.Compare(a.Rule, b.Rule) })
	return slices.CompactFunc(list, func(a, b Match) bool { return a.Rule == b.Rule })
}
