// SPDX-License-Identifier: Apache-2.0

package scoreboard

import (
	"cmp"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/mlverdict/mlverdict/internal/traffic"
	"github.com/mlverdict/mlverdict/internal/training"
	"github.com/mlverdict/mlverdict/model"
)

// Adapter makes a contender for one site from the site's own normal requests.
type Adapter struct {
	Described
	Adapt func(own []Sample) (Contender, error)
}

// AdaptTo adapts a model to a site's own requests. Those that Coraza itself refuses never reach a model.
func AdaptTo(base *model.Model, own []Sample) (*model.Model, error) {
	summary, err := training.NewSummary(base)
	if err != nil {
		return nil, err
	}
	for i := range own {
		if !own[i].Refused {
			summary.Add(own[i].Request, &own[i].View)
		}
	}
	return training.Adapt(base, summary)
}

// attackSample is how many attacks of each set every site's contender is asked about.
const attackSample = 400

// site is one site's traffic, the earlier half of each of its recordings and the later half.
type site struct {
	earlier, later []Sample
}

// MeasureSites measures the site-trained regime. A site's earlier half adapts a contender, its later half is judged;
// the cuts are fixed on the tuning sites' later halves, pooled, and reported on the test sites'. Attacks come from a
// seeded sample; every test site's contender judges all of it, and the counts are averaged over the sites.
func (r *Result) MeasureSites(d *Data, adapters []Adapter) error {
	tuning, test := sites(d.Tuning), sites(d.Test)
	attacks := sampleAttacks(d.Test)
	var later []Sample
	for _, s := range test {
		later = append(later, s.later...)
	}
	benignGroups, attackGroups := wholeSets(later), wholeSets(attacks)
	first := len(r.Site)
	for level := 1; level <= Levels; level++ {
		for _, g := range benignGroups {
			r.Site = append(r.Site, g.row(later, level))
		}
		for _, g := range attackGroups {
			r.Site = append(r.Site, g.row(attacks, level))
		}
	}
	for _, a := range adapters {
		var tuned, tested, attacked [Levels][]float64
		for i, s := range slices.Concat(tuning, test) {
			c, err := a.Adapt(s.earlier)
			if err != nil {
				return err
			}
			own := judge(&c, s.later)
			var on *anomalies
			if i >= len(tuning) {
				on = judge(&c, attacks)
			}
			for l := range Levels {
				if i < len(tuning) {
					tuned[l] = append(tuned[l], own[l]...)
				} else {
					tested[l] = append(tested[l], own[l]...)
					attacked[l] = append(attacked[l], on[l]...)
				}
			}
		}
		rows := r.Site[first:]
		for l := range Levels {
			cuts := (&Contender{}).cuts(l+1, tuned[l])
			for _, g := range benignGroups {
				rows[0].Contenders[a.Name] = g.cells(later, l+1, tested[l], cuts)
				rows = rows[1:]
			}
			for _, g := range attackGroups {
				rows[0].Contenders[a.Name] = g.average(attacks, l+1, attacked[l], cuts, len(test))
				rows = rows[1:]
			}
		}
	}
	return nil
}

// sites takes the browsing apart by site, and each recording of a site into an earlier and a later half.
func sites(samples []Sample) (list []site) {
	recordings := map[[2]string][]Sample{}
	for _, s := range samples {
		if s.Set == browsing {
			file, _, _ := strings.Cut(s.Src, "#")
			recordings[[2]string{s.Site, file}] = append(recordings[[2]string{s.Site, file}], s)
		}
	}
	bySite := map[string]*site{}
	keys := slices.SortedFunc(maps.Keys(recordings), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	for _, key := range keys {
		rows := recordings[key]
		slices.SortStableFunc(rows, func(a, b Sample) int { return cmp.Compare(a.order(), b.order()) })
		if bySite[key[0]] == nil {
			bySite[key[0]] = &site{}
		}
		s := bySite[key[0]]
		s.earlier = append(s.earlier, rows[:len(rows)/2]...)
		s.later = append(s.later, rows[len(rows)/2:]...)
	}
	for _, name := range slices.Sorted(maps.Keys(bySite)) {
		if s := bySite[name]; len(s.earlier) > 0 { // one of a single request has nothing to adapt to
			list = append(list, *s)
		}
	}
	return list
}

// sampleAttacks draws attacks of each set.
func sampleAttacks(test []Sample) (chosen []Sample) {
	sets := map[string][]Sample{}
	for _, s := range test {
		if s.Label == traffic.Attack && s.Counted() && !s.Refused {
			sets[s.Set] = append(sets[s.Set], s)
		}
	}
	rng := rand.New(rand.NewPCG(1, 0))
	for _, name := range slices.Sorted(maps.Keys(sets)) {
		all := sets[name]
		for _, i := range rng.Perm(len(all))[:min(attackSample, len(all))] {
			chosen = append(chosen, all[i])
		}
	}
	return chosen
}

// wholeSets groups by set alone, but for CRS's tests of rules that look for payloads.
func wholeSets(samples []Sample) []group {
	return slices.DeleteFunc(grouped(samples), func(g group) bool { return g.class != "" || g.part != "" && g.part != payloadRules })
}

// average counts what n contenders leave of the same samples, whose answers follow one another, and takes the mean.
func (g *group) average(samples []Sample, level int, answers []float64, cuts [len(Points)]float64, n int) []Cell {
	sum := make([]Cell, len(Points))
	crs := 0
	for i := range n {
		part := answers[i*len(samples):][:len(samples)]
		for p, c := range g.cells(samples, level, part, cuts) {
			sum[p].Denied += c.Denied
			sum[p].Protocol += c.Protocol
		}
		if i == 0 {
			for _, k := range g.members {
				if !math.IsNaN(part[k]) {
					crs++
				}
			}
		}
	}
	for p := range sum {
		sum[p].Denied = int(math.Round(share(sum[p].Denied, n)))
		sum[p].Protocol = int(math.Round(share(sum[p].Protocol, n)))
		low, high := Wilson(sum[p].Denied, crs)
		sum[p].Interval = [2]float64{rounded(low), rounded(high)}
	}
	return sum
}
