// SPDX-License-Identifier: Apache-2.0

package scoreboard

import (
	"bytes"
	"encoding/json"
	"math"

	"github.com/mlverdict/mlverdict/internal/replay"
	"github.com/mlverdict/mlverdict/model"
	"github.com/mlverdict/mlverdict/model/request"
)

// Format is the version of the JSON that a [Result] is written as.
const Format = "scoreboard/1"

// Levels are the paranoia levels.
const Levels = request.ParanoiaLevels

// Points names the operating points, in the order of every list of cells: the contender's own threshold, and the cuts
// that clear at least so many percent of CRS's false positives on the tuning half.
var Points = [...]string{"tuned", "90", "95", "99", "99.5"}

// shares are the cleared shares of Points[1:].
var shares = [...]float64{0.9, 0.95, 0.99, 0.995}

// The places of operating points in Points.
const (
	Tuned = iota
	Cleared90
	Cleared95
	Cleared99
	Cleared995
)

// Result is a scoreboard. The same data, model and version give the same Result: it holds no clock and no row's text.
type Result struct {
	Format     string                `json:"format"`
	Model      Model                 `json:"model"`
	Modules    []string              `json:"modules"` // what decides a replay
	Notes      []string              `json:"notes"`
	Sets       []Set                 `json:"sets"`
	Contenders []Described           `json:"contenders"`
	Tuning     [Levels]Tuning        `json:"tuning"` // by paranoia level
	Rows       []Row                 `json:"rows"`
	Site       []Row                 `json:"site"` // on the later half of each test site's traffic
	Replayed   []Replayed            `json:"replayed"`
	Curves     []Curve               `json:"curves"`
	Histograms [Levels]Histogram     `json:"histograms"` // by paranoia level
	Classes    [Levels][]ClassReport `json:"classes"`    // in mode ml_only, by paranoia level
	Article    [Levels][]ClassReport `json:"article"`    // the same of the article's three classes alone
	WAF        [Levels]Balanced      `json:"waf_comparison"`
	GoTestWAF  [Levels]GoTestWAF     `json:"gotestwaf"`
	Rules      [Levels][]VetoedRule  `json:"rules"`
}

// Model names the model that was judged.
type Model struct {
	ID      string     `json:"id"`
	Schema  string     `json:"schema"`
	Trained model.Data `json:"trained"`
}

// Described is a contender's name and what it is.
type Described struct {
	Name string `json:"name"`
	Doc  string `json:"doc"`
}

// Tuning is the tuning half at one paranoia level.
type Tuning struct {
	Requests int                   `json:"requests"`
	CRS      int                   `json:"crs_denied"` // false positives of CRS alone
	Cuts     map[string][]*float64 `json:"cuts"`       // by contender, at Points; null: not to be reached
}

// Row counts the requests of one set and class at one paranoia level.
type Row struct {
	Level      int               `json:"paranoia_level"`
	Set        string            `json:"set"`
	Label      string            `json:"label"`
	Class      string            `json:"class,omitempty"` // empty: all of them
	Part       string            `json:"part,omitempty"`  // empty: all of them; else a part of the set across its classes
	Requests   int               `json:"requests"`
	Engine     int               `json:"engine_denied"`     // refused by Coraza itself; counted in nothing that follows
	CRS        int               `json:"crs_denied"`        // denied by CRS alone
	Protocol   int               `json:"crs_protocol_only"` // of these, no rule of the files 930 to 944 took part
	Contenders map[string][]Cell `json:"contenders"`        // at Points
}

// Cell is what a contender leaves of CRS's denials at one operating point.
type Cell struct {
	Denied   int        `json:"denied"`
	Protocol int        `json:"protocol_only"`
	Interval [2]float64 `json:"interval"` // Wilson's 95 % interval of the share denied of what CRS denies
}

// Replayed compares what was reckoned of an exclusion of rules with what CRS does when it is loaded, on a sample of the
// test, at the cut that clears 99 % of the tuning half's false positives.
type Replayed struct {
	Level      int    `json:"paranoia_level"`
	Contender  string `json:"contender"`
	Exclusions int    `json:"exclusions"` // directives loaded
	Benign     Passed `json:"benign"`
	Attack     Passed `json:"attack"`
}

// Passed counts what is let through.
type Passed struct {
	Requests int `json:"requests"`
	Reckoned int `json:"reckoned"`
	Real     int `json:"real"`
	Differ   int `json:"differ"` // requests of which the two say different things
}

// Add counts a request.
func (r *Replayed) Add(benign, reckoned, real bool) {
	p := &r.Attack
	if benign {
		p = &r.Benign
	}
	p.Requests++
	if reckoned {
		p.Reckoned++
	}
	if real {
		p.Real++
	}
	if reckoned != real {
		p.Differ++
	}
}

// Curve is a receiver operating characteristic behind CRS at one paranoia level: the share of CRS's false positives of
// the test half that is still denied, and the share of its true positives that is kept, the mean of the attack sets.
type Curve struct {
	Level     int          `json:"paranoia_level"`
	Contender string       `json:"contender"`
	Area      float64      `json:"area"` // under the curve
	Points    [][2]float64 `json:"points"`
}

// Histogram counts requests that CRS flags by the model's score, 1..99 at index 0..98.
type Histogram struct {
	Benign [model.MaxScore]int `json:"benign"`
	Attack [model.MaxScore]int `json:"attack"`
}

// VetoedRule counts the false positives of the test half that a CRS rule took part in.
type VetoedRule struct {
	Rule   int `json:"rule"`
	Denied int `json:"crs_denied"`
	Vetoed int `json:"vetoed"` // of these, let through at the tuned threshold
}

// Wilson returns the 95 % interval of a share seen as n of total (E. B. Wilson, 1927); 0..1 where nothing was seen.
func Wilson(n, total int) (low, high float64) {
	if total == 0 {
		return 0, 1
	}
	const z = 1.959963984540054
	t, p := float64(total), float64(n)/float64(total)
	centre := p + z*z/(2*t)
	spread := z * math.Sqrt(p*(1-p)/t+z*z/(4*t*t))
	return max(0, (centre-spread)/(1+z*z/t)), min(1, (centre+spread)/(1+z*z/t))
}

// rounded keeps four decimals: more would only make noise in a diff.
func rounded(x float64) float64 { return math.Round(x*1e4) / 1e4 }

// New starts a result.
func New(d *Data, m *model.Model) *Result {
	p := m.Parts()
	return &Result{
		Format: Format, Model: Model{m.ID(), p.Schema.Name, p.Data}, Modules: replay.Modules(),
		Notes: append([]string{}, d.Notes...), Sets: d.Sets,
	}
}

// JSON writes the result, what counts one group of requests on a line of its own.
func (r *Result) JSON() ([]byte, error) {
	text, err := json.Marshal(r)
	return append(bytes.ReplaceAll(text, []byte(`{"paranoia_level":`), []byte("\n"+`{"paranoia_level":`)), '\n'), err
}
