package flight

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// order is that of the phases in one boot.
func order() []string {
	return []string{
		PhasePOST, PhaseDHCP, PhaseLoader, PhaseKernel, PhaseStage2, PhasePartition, PhasePackages,
		PhaseConfigure, PhaseReboot, PhaseSecondPOST, PhaseVerify,
	}
}

// RunOf accounts for the time of one attempt of a machine. The State is the
// caller's.
func RunOf(node string, entries []Entry, attempt int, now time.Time) Run {
	if attempt == 0 {
		attempt = AttemptOf(entries)
	}
	r := Run{Node: node, Attempt: attempt, Phases: Phases(entries, attempt, now)}
	if len(r.Phases) > 0 {
		last := r.Phases[len(r.Phases)-1]
		r.Begin, r.End, r.Open = r.Phases[0].Begin, last.End, last.Open
	} else {
		r.Phases = []Phase{}
	}
	return r
}

// BatchOf adds up where the time of machines went. A phase that goes on
// counts for what it took so far.
func BatchOf(runs []Run) Batch {
	b := Batch{Runs: runs, Shares: []Share{}}
	type cost struct {
		node string
		took time.Duration
	}
	costs := map[string][]cost{}
	notes := map[string]map[string]int{}
	for _, r := range runs {
		if len(r.Phases) == 0 {
			continue
		}
		if b.Begin.IsZero() || r.Begin.Before(b.Begin) {
			b.Begin = r.Begin
		}
		if r.End.After(b.End) {
			b.End = r.End
		}
		took := map[string]time.Duration{}
		for _, p := range r.Phases {
			took[p.Name] += p.End.Sub(p.Begin)
			if p.Note != "" && !strings.HasPrefix(p.Note, noteFailed) && !strings.HasPrefix(p.Note, noteGivenUp) {
				count(notes, p.Name, p.Note)
			}
		}
		for name, d := range took {
			costs[name] = append(costs[name], cost{r.Node, d})
		}
	}
	for _, name := range order() {
		of := costs[name]
		if len(of) == 0 {
			continue
		}
		slices.SortFunc(of, func(a, b cost) int { return cmp.Or(cmp.Compare(a.took, b.took), cmp.Compare(a.node, b.node)) })
		last := of[len(of)-1]
		s := Share{Name: name, Machines: len(of), Median: of[len(of)/2].took, Longest: last.took, Slowest: last.node}
		s.Apart = len(of) > 1 && s.Longest >= 2*s.Median && s.Longest-s.Median > 30*time.Second
		s.Note, s.Noted = mostOften(notes[name])
		b.Shares = append(b.Shares, s)
	}
	return b
}

func count(notes map[string]map[string]int, phase, text string) {
	if notes[phase] == nil {
		notes[phase] = map[string]int{}
	}
	notes[phase][text]++
}

func mostOften(notes map[string]int) (text string, times int) {
	for t, n := range notes {
		if n > times || n == times && t < text {
			text, times = t, n
		}
	}
	return text, times
}
