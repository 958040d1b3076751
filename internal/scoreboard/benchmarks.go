// SPDX-License-Identifier: Apache-2.0

package scoreboard

import (
	"strings"

	"github.com/mlverdict/mlverdict/internal/traffic"
)

// Balanced is the figure of open-appsec's WAF comparison: the mean of the share of attacks denied and of normal
// requests let through, on the requests of its sources (browsing and mgm).
type Balanced struct {
	CRS   BalancedAccuracy `json:"crs"`
	Model BalancedAccuracy `json:"mlverdict"`
}

// BalancedAccuracy is (TPR + TNR) / 2.
type BalancedAccuracy struct {
	TruePositive float64 `json:"tpr"`
	TrueNegative float64 `json:"tnr"`
	Accuracy     float64 `json:"balanced_accuracy"`
}

// GoTestWAF is the score that gotestwaf gives: for API and application security the mean of the shares of attacks
// blocked and of normal texts let through, and the mean of both. A share without tests is left out.
type GoTestWAF struct {
	CRS   GoTestWAFScore `json:"crs"`
	Model GoTestWAFScore `json:"mlverdict"`
}

// GoTestWAFScore are gotestwaf's figures.
type GoTestWAFScore struct {
	API         float64 `json:"api"`
	Application float64 `json:"application"`
	Overall     float64 `json:"overall"`
}

// tally counts attacks and normal requests, and how many of them are denied, by CRS alone and with the model.
type tally struct{ attacks, benign, crsAttacks, crsBenign, attacksDenied, benignDenied int }

func (t *tally) add(s *Sample, a answer, level int) {
	crs, denied := 0, 0
	if s.Flagged(level) {
		crs = 1
		if a.flags() {
			denied = 1
		}
	}
	if s.Label == traffic.Attack {
		t.attacks, t.crsAttacks, t.attacksDenied = t.attacks+1, t.crsAttacks+crs, t.attacksDenied+denied
	} else {
		t.benign, t.crsBenign, t.benignDenied = t.benign+1, t.crsBenign+crs, t.benignDenied+denied
	}
}

func balanced(samples []Sample, answers []answer, level int) Balanced {
	var t tally
	for i := range samples {
		if s := &samples[i]; !s.Refused && (s.Set == browsing || s.Set == "attack-mgm") {
			t.add(s, answers[i], level)
		}
	}
	accuracy := func(attacks, benign int) BalancedAccuracy {
		tpr, tnr := share(attacks, t.attacks), 1-share(benign, t.benign)
		return BalancedAccuracy{rounded(tpr), rounded(tnr), rounded((tpr + tnr) / 2)}
	}
	return Balanced{accuracy(t.crsAttacks, t.crsBenign), accuracy(t.attacksDenied, t.benignDenied)}
}

func goTestWAFScores(samples []Sample, answers []answer, level int) GoTestWAF {
	var api, application tally
	for i := range samples {
		s := &samples[i]
		switch {
		case s.Set != gotestwaf || s.Refused:
		case strings.Contains(strings.SplitN(s.Src, "/", 2)[0], "api"): // gotestwaf's own rule
			api.add(s, answers[i], level)
		default:
			application.add(s, answers[i], level)
		}
	}
	score := func(denied func(*tally) (attacks, benign int)) GoTestWAFScore {
		side := func(t *tally) (float64, bool) {
			attacks, benign := denied(t)
			blocked, passed := share(attacks, t.attacks), 1-share(benign, t.benign)
			switch {
			case t.attacks == 0 && t.benign == 0:
				return 0, false
			case t.attacks == 0:
				return passed, true
			case t.benign == 0:
				return blocked, true
			}
			return (blocked + passed) / 2, true
		}
		a, hasAPI := side(&api)
		b, hasApplication := side(&application)
		overall := a + b
		if hasAPI && hasApplication {
			overall /= 2
		}
		return GoTestWAFScore{rounded(a), rounded(b), rounded(overall)}
	}
	return GoTestWAF{
		CRS:   score(func(t *tally) (int, int) { return t.crsAttacks, t.crsBenign }),
		Model: score(func(t *tally) (int, int) { return t.attacksDenied, t.benignDenied }),
	}
}
